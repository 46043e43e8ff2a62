from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pvchat.datamodules.manifest import Record, read_manifest, shared_sources
from pvchat.errors import UserError
from pvchat.synthesis.builder import CorpusSettings, Portraits, RawClip, build_corpus
from pvchat.synthesis.pipeline.takes import SplitSize
from pvchat.synthesis.portraits import Portrait
from pvchat.synthesis.questions import QuestionCounts
from pvchat.synthesis.writing import write_video

TINY = CorpusSettings(
    train=SplitSize(4, 2), validation=SplitSize(1), test=SplitSize(3), num_frames=2, size_px=48
)


@pytest.fixture
def positives(portrait: Portrait) -> Portraits:
    return {s: [replace(portrait, person="tom")] for s in ("train", "validation", "test")}


@pytest.fixture
def negatives(moving: Portrait) -> Portraits:
    people = {"train": ("a", "b", "c"), "validation": ("d",), "test": ("e", "f")}
    return {s: [replace(moving, person=p) for p in names] for s, names in people.items()}


def cells(records: list[Record], present: bool, name: str = "tom") -> Counter[tuple[str | None, ...]]:
    return Counter((r.background, r.clothes, r.motion) for r in records if r.presence[name] is present)


def contents(folder: Path) -> dict[str, bytes]:
    files: Iterator[Path] = (p for p in sorted(folder.rglob("*")) if p.is_file())
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files}


def test_every_scene_is_filmed_with_the_subject_and_with_others(
    tmp_path: Path, positives: Portraits, negatives: Portraits
) -> None:
    manifest = build_corpus(
        subjects=["tom"],
        positives={"tom": positives},
        negatives=negatives,
        out=tmp_path / "corpus",
        seed=0,
        settings=TINY,
    )
    records = read_manifest(manifest)
    assert Counter((r.split, r.presence["tom"]) for r in records) == {
        ("train", True): 4, ("train", False): 8, ("validation", True): 1,
        ("validation", False): 1, ("test", True): 3, ("test", False): 3,
    }  # fmt: skip
    test = [r for r in records if r.split == "test"]
    assert cells(test, True) == cells(test, False)
    train = [r for r in records if r.split == "train"]
    assert {c: 2 * n for c, n in cells(train, True).items()} == cells(train, False)
    assert {(r.presence["tom"], r.origin) for r in records} == {(True, "warp"), (False, "negative")}
    for record in records:
        polarities = {qa.polarity for qa in record.qa if qa.type == "existence"}
        assert polarities == {"yes" if record.presence["tom"] else "no"}


def test_same_seed_same_bytes(tmp_path: Path, positives: Portraits, negatives: Portraits) -> None:
    settings = replace(TINY, train=SplitSize(1), test=SplitSize(1), photos=True)
    for folder, seed in (("a", 0), ("b", 0), ("c", 1)):
        build_corpus(
            subjects=["tom"],
            positives={"tom": positives},
            negatives=negatives,
            out=tmp_path / folder,
            seed=seed,
            settings=settings,
        )
    a, b, c = (contents(tmp_path / folder) for folder in "abc")
    assert a == b
    assert a.keys() == c.keys()
    assert all(a[name] != c[name] for name in a if name != "statistics.json")
    assert sum(name.startswith("clips") and name.endswith(".png") for name in a) == 6


def test_several_subjects_are_negatives_of_each_other(
    tmp_path: Path, positives: Portraits, negatives: Portraits, moving: Portrait
) -> None:
    ann: Portraits = {s: [replace(moving, person="ann")] for s in ("train", "validation", "test")}
    manifest = build_corpus(
        subjects=["tom", "ann"],
        positives={"tom": positives, "ann": ann},
        negatives=negatives,
        out=tmp_path,
        seed=0,
        settings=replace(TINY, questions=QuestionCounts(existence=1, about=0, general=0)),
    )
    records = read_manifest(manifest)
    shown = Counter((r.presence["tom"], r.presence["ann"]) for r in records if r.split == "test")
    assert shown == {(True, False): 3, (False, True): 3, (False, False): 3}
    assert all({s for qa in r.qa for s in qa.subjects} == {"tom", "ann"} for r in records)
    test = [r for r in records if r.split == "test"]
    assert cells(test, True, "tom") == cells(test, True, "ann")


def test_raw_clips_are_taken_over_as_they_are(
    tmp_path: Path, positives: Portraits, negatives: Portraits
) -> None:
    write_video(tmp_path / "real.mp4", np.zeros((16, 32, 32, 3), np.uint8))
    raw = [
        RawClip(tmp_path / "real.mp4", "tom", 0.5, 1.5, source_id="photo"),
        RawClip(tmp_path / "real.mp4", None),
    ]
    manifest = build_corpus(
        subjects=["tom"],
        positives={"tom": positives},
        negatives=negatives,
        out=tmp_path / "corpus",
        seed=0,
        raw=raw,
        settings=replace(TINY, train=SplitSize(1), test=SplitSize(0)),
    )
    real, stranger = (r for r in read_manifest(manifest) if r.split == "test")
    assert (real.origin, real.presence, real.start_s, real.end_s) == ("real", {"tom": True}, 0.5, 1.5)
    assert (stranger.origin, stranger.presence) == ("negative", {"tom": False})
    assert real.path.read_bytes() == (tmp_path / "real.mp4").read_bytes()
    assert {qa.type for qa in real.qa} == {"existence"}
    assert shared_sources(read_manifest(manifest)) == {"photo"}  # the screen can say so


def test_places_of_the_test_can_be_new(tmp_path: Path, positives: Portraits, negatives: Portraits) -> None:
    settings = replace(
        TINY, train=SplitSize(10, 0), test=SplitSize(6, 0), new_places_in_test=True, size_px=32
    )
    manifest = build_corpus(
        subjects=["tom"],
        positives={"tom": positives},
        negatives=negatives,
        out=tmp_path,
        seed=0,
        settings=replace(settings, num_frames=1),
    )
    records = read_manifest(manifest)
    places = {s: {r.background for r in records if r.split == s} for s in ("train", "test")}
    assert not places["train"] & places["test"]


def test_a_corpus_is_there_whole_or_not_at_all(
    tmp_path: Path, positives: Portraits, negatives: Portraits, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Path] = []

    def interrupted(path: Path, frames: object, *, fps: int) -> None:
        if len(written) == 2:
            raise KeyboardInterrupt
        write_video(path, np.zeros((1, 32, 32, 3), np.uint8))
        written.append(path)

    monkeypatch.setattr("pvchat.synthesis.pipeline.filming.write_video", interrupted)
    with pytest.raises(KeyboardInterrupt):
        build_corpus(
            subjects=["tom"],
            positives={"tom": positives},
            negatives=negatives,
            out=tmp_path / "corpus",
            seed=0,
            settings=TINY,
        )
    assert len(written) == 2
    assert not list(tmp_path.iterdir())


def test_refusals(tmp_path: Path, positives: Portraits, negatives: Portraits) -> None:
    def build(**changes: object) -> None:
        arguments: dict[str, object] = {
            "subjects": ["tom"], "positives": {"tom": positives}, "negatives": negatives,
            "out": tmp_path / "none", "seed": 0, "settings": TINY,
        }  # fmt: skip
        build_corpus(**(arguments | changes))  # type: ignore[arg-type]

    with pytest.raises(UserError, match=r"'ann' has none, \['tom'\] have"):
        build(subjects=["ann"])
    with pytest.raises(UserError, match=r"in each split: 'tom' has none in 'test'"):
        build(positives={"tom": {"train": positives["train"], "validation": positives["validation"]}})
    with pytest.raises(UserError, match=r"2 strangers .* 'train' has 1. Give more negatives"):
        build(negatives={**negatives, "train": negatives["validation"]})
    with pytest.raises(UserError, match=r"must be new people: 'a' is also in training"):
        build(negatives={**negatives, "test": negatives["train"]})
    with pytest.raises(UserError, match=r"1-40 letters"):
        build(subjects=["<x>"], positives={"<x>": positives})
    with pytest.raises(UserError, match=r"raw clip .* shows 'ann', the subjects are \['tom'\]"):
        build(raw=[RawClip(Path("x.mp4"), "ann")])
    with pytest.raises(UserError, match=r"raw clip x.mp4 does not exist"):
        build(raw=[RawClip(Path("x.mp4"), "tom")])
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    with pytest.raises(UserError, match=r"a folder of its own: .*taken is there and not empty"):
        build(out=tmp_path / "taken")
    assert not (tmp_path / "none").exists()
