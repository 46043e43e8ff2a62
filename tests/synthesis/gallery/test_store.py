"""Rows on a disk: batches, numbers that are never used again, files that are no store."""

from pathlib import Path

import numpy as np
import pytest

from pvchat.errors import UserError
from pvchat.synthesis.gallery import store as module
from pvchat.synthesis.gallery.pictures import Picture
from pvchat.synthesis.gallery.store import EmbeddingStore


def picture(name: str) -> Picture:
    return Picture(name, name, "1")


def test_vectors_come_back_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BATCH", 4)
    store = EmbeddingStore(tmp_path / "s.sqlite", width=2)
    vectors = np.random.default_rng(0).normal(size=(10, 2)).astype(np.float32)
    for i in range(5):
        store.add(picture(f"{i}"), f"c{i}", list(vectors[2 * i : 2 * i + 2]))
    batches = list(store.batches())
    assert [len(ids) for ids, _ in batches] == [4, 4, 2]
    np.testing.assert_array_equal(np.concatenate([v for _, v in batches]), vectors)
    assert [ids.tolist() for ids, _ in store.batches(after=7)] == [[8, 9, 10]]
    assert store.within(lambda v: np.abs(v - vectors[6]).max(1), 1e-6).tolist() == [7]


def test_numbers_of_rows_are_not_used_again(tmp_path: Path) -> None:
    """An index that was not told of a change must not take a new row for an old one."""
    store = EmbeddingStore(tmp_path / "s.sqlite", width=1)
    store.add(picture("a"), "a", [np.zeros(1, np.float32)])
    before = store.version()
    store.keep([])
    store.add(picture("b"), "b", [np.ones(1, np.float32)])
    assert store.ids().tolist() == [2]
    assert store.version() != before


def test_a_file_that_is_no_store_is_named(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    path.write_bytes(b"something else" * 100)
    with pytest.raises(UserError, match=r"embeddings in .*s.sqlite cannot be used: .*delete it"):
        EmbeddingStore(path, width=1).place(picture("a"), "a")
