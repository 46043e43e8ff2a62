"""The index of faiss against looking at every vector."""

from pathlib import Path

import numpy as np
import pytest

from pvchat.faces import Vector
from pvchat.synthesis.gallery import search
from pvchat.synthesis.gallery.pictures import Picture
from pvchat.synthesis.gallery.search import ExactSearch, IVFSearch, index_path, open_search
from pvchat.synthesis.gallery.store import EmbeddingStore

WIDTH = 16


def people(count: int, seed: int) -> Vector:
    """Unit vectors, ten photos of each person near each other."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(count // 10, WIDTH)).repeat(10, axis=0)
    vectors = centres + 0.3 * rng.normal(size=centres.shape)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def filled(folder: Path, vectors: Vector, name: str = "a") -> EmbeddingStore:
    store = EmbeddingStore(folder / "store.sqlite", width=WIDTH)
    store.add(Picture(name, name, "1"), name, list(vectors))
    return store


def truth(vectors: Vector, query: Vector, count: int) -> set[int]:
    """Numbers of the nearest, by loops; the first row is number 1."""
    return set(sorted(range(len(vectors)), key=lambda i: float(((vectors[i] - query) ** 2).sum()))[:count])


def test_exact_is_exact(tmp_path: Path) -> None:
    vectors = people(300, seed=0)
    exact = ExactSearch(filled(tmp_path, vectors))
    assert len(exact) == 300
    for query in people(20, seed=1):
        assert set((exact.nearest(query[None], 7) - 1).tolist()) == truth(vectors, query, 7)
    two = people(20, seed=1)[[0, 19]]
    assert set((exact.nearest(two, 7) - 1).tolist()) == truth(vectors, two[0], 7) | truth(vectors, two[1], 7)
    assert len(exact.nearest(two, 999)) == 300


def test_which_search_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = filled(tmp_path, people(100, seed=0))
    assert open_search(store).name == "exact (numpy)"
    monkeypatch.setattr(search.importlib.util, "find_spec", lambda _: None)
    assert open_search(store, exact_up_to=99).name == "exact (numpy)"
    assert "100 faces are searched one by one: pip install 'pvchat[gallery]'" in caplog.text


class TestIVF:
    @pytest.fixture(autouse=True)
    def _faiss(self) -> None:
        pytest.importorskip("faiss")

    def test_recall(self, tmp_path: Path) -> None:
        store = filled(tmp_path, people(5000, seed=0))
        ivf, exact = open_search(store, exact_up_to=4999), ExactSearch(store)
        assert ivf.name == "IVF-SQ8 (faiss)"
        queries = people(1000, seed=2)[::10]
        hits = [len(np.intersect1d(ivf.nearest(q[None], 10), exact.nearest(q[None], 10))) for q in queries]
        assert 0.8 < np.mean(hits) / 10 < 1  # .87 here; 1 would mean that all lists were read

    def test_it_is_built_once_and_follows_the_store(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        vectors = people(600, seed=0)
        store = filled(tmp_path, vectors[:300])
        IVFSearch(store)
        monkeypatch.setattr(IVFSearch, "_trained", lambda _: pytest.fail("trained again"))
        filled(tmp_path, vectors[300:], name="b")
        assert len(IVFSearch(store)) == 600
        assert set(IVFSearch(store).nearest(vectors[450][None], 1)) == {451}
        store.keep(["b"])
        again = IVFSearch(store)
        assert len(again) == 300
        assert again.nearest(vectors[10][None], 300).min() > 300
        written = index_path(store).stat().st_mtime_ns
        IVFSearch(store)
        assert index_path(store).stat().st_mtime_ns == written

    def test_a_damaged_index_is_built_again(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        store = filled(tmp_path, people(300, seed=0))
        IVFSearch(store)
        index_path(store).write_bytes(b"torn")
        assert len(IVFSearch(store)) == 300
        assert "is damaged" in caplog.text
