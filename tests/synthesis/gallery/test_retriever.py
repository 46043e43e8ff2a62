"""Who is found, who never is, and what is left of somebody forgotten. Distances are of shades of red."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from colour_gallery import GREY, ColourEmbedder, HueEmbedder, paint, red

from pvchat.errors import UserError
from pvchat.synthesis.gallery import GalleryRetriever
from pvchat.synthesis.roles import NegativeRetriever

Retrieve = Callable[..., GalleryRetriever]


@pytest.fixture
def shades(root: Path) -> Path:
    """red/0.png, red/10.png, .. red/90.png."""
    for shade in range(0, 100, 10):
        paint(root / f"{shade}.png", (shade, 0, 0))
    return root


def keys(found: list) -> list[str]:  # type: ignore[type-arg]
    return [n.key for n in found]


@pytest.mark.usefixtures("shades")
def test_the_nearest_come_first_and_the_subject_never(retrieve: Retrieve) -> None:
    retriever: NegativeRetriever = retrieve()
    found = retriever.nearest(red(32), 3, farther_than=0.05)
    assert keys(found) == ["40.png", "20.png", "50.png"]
    np.testing.assert_allclose([n.distance for n in found], [0.08, 0.12, 0.18], atol=1e-6)


@pytest.mark.usefixtures("shades")
def test_the_nearest_of_several_references_counts(retrieve: Retrieve) -> None:
    references = np.stack([red(0), red(91)])
    assert keys(retrieve().nearest(references, 4, farther_than=0.15)) == [
        "20.png",
        "70.png",
        "30.png",
        "60.png",
    ]


@pytest.mark.usefixtures("shades")
def test_as_many_as_asked_even_where_most_are_the_subject(root: Path, retrieve: Retrieve) -> None:
    for n in range(70):  # more than are looked at first
        paint(root / f"me{n}.png", (n // 25, n // 5 % 5, n % 5))
    found = retrieve().nearest(np.zeros(3), 9, farther_than=0.09)
    assert keys(found) == [f"{shade}.png" for shade in range(10, 100, 10)]


def test_a_picture_beside_the_subject_is_no_negative(root: Path, retrieve: Retrieve) -> None:
    paint(root / "both.png", (50, 0, 0), (90, 0, 0))
    paint(root / "other.png", (95, 0, 0))
    assert keys(retrieve().nearest(red(50), 5, farther_than=0.1)) == ["other.png"]


def test_pictures_of_one_source_are_one_person(root: Path, retrieve: Retrieve) -> None:
    for name, shade in {"ann/1": 50, "ann/2": 70, "ben/1": 75, "ben/2": 80, "eve/1": 99}.items():
        paint(root / f"{name}.png", (shade, 0, 0))
    retriever = retrieve(one_person_per_folder=True)
    assert keys(retriever.nearest(red(50), 5, farther_than=0.1)) == ["ben/1.png", "eve/1.png"]
    assert keys(retriever.nearest(red(50), 5, farther_than=0.1, without=["eve/1.png"])) == ["ben/1.png"]
    drawn = {tuple(keys(retriever.random(red(50), 5, seed=s, farther_than=0.1))) for s in range(8)}
    assert {k for d in drawn for k in d} == {"ben/1.png", "eve/1.png"}
    assert len(drawn) == 2  # both orders


def test_cosine_distances(root: Path, retrieve: Retrieve) -> None:
    paint(root / "orange.png", (100, 100, 0))
    paint(root / "green.png", (0, 100, 0))
    found = retrieve(HueEmbedder()).nearest(red(100), 2, farther_than=0.1)
    assert keys(found) == ["orange.png", "green.png"]
    np.testing.assert_allclose([n.distance for n in found], [1 - 0.5**0.5, 1], atol=1e-6)


@pytest.mark.usefixtures("shades")
def test_random_ones_follow_the_seed_alone(root: Path, retrieve: Retrieve) -> None:
    def drawn(seed: int) -> list[str]:
        return keys(retrieve().random(red(0), 4, seed=seed, farther_than=0.15))

    assert drawn(1) == drawn(1) != drawn(2)
    assert not {"0.png", "10.png"} & {k for seed in range(20) for k in drawn(seed)}
    assert {k for seed in range(20) for k in drawn(seed)} == {f"{s}.png" for s in range(20, 100, 10)}


@pytest.mark.usefixtures("shades")
def test_looks_for_the_gate(retrieve: Retrieve) -> None:
    looks = retrieve().looks(100, seed=0)
    assert sorted(round(float(v[0]), 1) for look in looks for v in look) == [s / 10 for s in range(10)]
    assert len(retrieve().looks(4, seed=0)) == 4


def test_names_of_any_script(root: Path, retrieve: Retrieve) -> None:
    paint(root / "杨幂" / "фото №1.png", (50, 0, 0))
    assert keys(retrieve().nearest(red(0), 1, farther_than=0.1)) == ["杨幂/фото №1.png"]
    assert retrieve().read("杨幂/фото №1.png").shape == (1, 8, 8, 3)


class TestOneSentence:
    def test_empty(self, retrieve: Retrieve) -> None:
        with pytest.raises(
            UserError, match=r"must hold photos or clips of other people: .*people has none\.$"
        ):
            retrieve().nearest(red(0), 1, farther_than=0.1)

    def test_only_broken(self, root: Path, retrieve: Retrieve) -> None:
        (root / "a.jpg").write_bytes(b"no picture")
        (root / "b.png").touch()
        with pytest.raises(
            UserError, match=r"none of the 2 of .* can: a.jpg \(.*damaged.*\); b.png \(.*0 bytes.*\)\.$"
        ):
            retrieve().random(red(0), 1, seed=0, farther_than=0.1)

    def test_only_the_subject(self, root: Path, retrieve: Retrieve) -> None:
        paint(root / "me.png", (3, 0, 0))
        for ask in (retrieve().nearest, lambda *a, **k: retrieve().random(*a, seed=0, **k)):
            with pytest.raises(UserError, match=r"all faces of .* are nearer than 0.1 to the subject\. Add"):
                ask(red(0), 5, farther_than=0.1)

    def test_no_faces(self, root: Path, retrieve: Retrieve) -> None:
        paint(root / "landscape.png", GREY)
        (root / "broken.jpg").write_bytes(b"no picture")
        with pytest.raises(UserError, match=r"in none of the 1 pictures .* one was found"):
            retrieve().nearest(red(0), 1, farther_than=0.1)

    def test_a_vector_of_another_embedder(self, root: Path, retrieve: Retrieve) -> None:
        paint(root / "a.png", (3, 0, 0))
        with pytest.raises(UserError, match=r"vectors of 3 numbers.*got shape \(128,\)"):
            retrieve().nearest(np.zeros(128, np.float32), 1, farther_than=0.1)


class TestForget:
    def test_by_name_and_by_face(self, shades: Path, retrieve: Retrieve) -> None:
        (shades / "copy.png").write_bytes((shades / "90.png").read_bytes())
        retriever = retrieve()
        assert len(retriever.near(np.zeros(3), 9)) == 11
        forgotten = retriever.forget(keys=["90.png"], face=red(20), nearer_than=0.11)
        assert forgotten == ["10.png", "20.png", "30.png", "90.png", "copy.png"]
        left = ["0.png", "40.png", "50.png", "60.png", "70.png", "80.png"]
        assert retriever.near(np.zeros(3), 9) == left
        assert sorted(keys(retriever.nearest(red(20), 99, farther_than=0))) == left
        assert sorted(keys(retriever.random(red(20), 99, seed=0, farther_than=0))) == left

    def test_for_good(self, root: Path, retrieve: Retrieve, tmp_path: Path) -> None:
        """Nothing of the vector is left in the files; the same bytes stay out, under another name too."""
        paint(root / "me.png", (37, 11, 53))
        paint(root / "other.png", (90, 0, 0))
        vector = np.array([0.37, 0.11, 0.53], np.float32)
        retrieve().refresh()

        def on_disk() -> bool:
            return any(vector.tobytes() in f.read_bytes() for f in (tmp_path / "store").iterdir())

        assert on_disk()
        retrieve().forget(face=vector, nearer_than=0.1)
        assert not on_disk()
        (root / "me.png").rename(root / "again.png")
        embedder = ColourEmbedder()
        assert retrieve(embedder).near(vector, 0.1) == []
        assert retrieve().store.files().keys() == {"other.png"}
        (root / "again.png").rename(tmp_path / "away.png")
        retrieve(embedder).refresh()
        (tmp_path / "away.png").rename(root / "me.png")
        assert retrieve(embedder).near(vector, 0.1) == []
        assert embedder.seen == 0

    @pytest.mark.usefixtures("shades")
    def test_unknown_names(self, retrieve: Retrieve) -> None:
        with pytest.raises(UserError, match=r"only pictures of .* can be forgotten: it has no 'nobody.png'"):
            retrieve().forget(keys=["nobody.png"])

    @pytest.mark.usefixtures("shades")
    def test_the_index_forgets_too(self, retrieve: Retrieve, tmp_path: Path) -> None:
        pytest.importorskip("faiss")
        retriever = retrieve(exact_up_to=5)
        assert retriever.search.name == "exact (numpy)"  # nothing is embedded yet
        assert keys(retriever.nearest(red(20), 1, farther_than=0)) == ["20.png"]
        assert retriever.search.name == "IVF-SQ8 (faiss)"
        retriever.forget(face=red(20), nearer_than=0.05)
        assert not list((tmp_path / "store").glob("*.faiss"))
        assert "20.png" not in keys(retriever.nearest(red(20), 99, farther_than=0))
        assert len(retriever.search) == 9


@pytest.mark.usefixtures("shades")
def test_an_index_that_misses_the_subject_does_not_let_him_in(root: Path, retrieve: Retrieve) -> None:
    """The index may find one face of a picture and miss the other: what is returned is checked exactly."""
    paint(root / "both.png", (20, 0, 0), (90, 0, 0))
    retriever = retrieve()
    retriever.refresh()

    class Blind:
        name = "finds whoever is not the subject"

        def __init__(self, search: object) -> None:
            self.search = search

        def __len__(self) -> int:
            return len(self.search)  # type: ignore[arg-type]

        def nearest(self, queries: np.ndarray, count: int) -> np.ndarray:
            return np.setdiff1d(retriever.store.ids(), retriever.store.within(
                lambda v: np.linalg.norm(v - queries[0], axis=1), 0.15))  # fmt: skip

    retriever._search = retriever.store.version(), Blind(retriever.search)
    assert "both.png" not in keys(retriever.nearest(red(20), 99, farther_than=0.15))
