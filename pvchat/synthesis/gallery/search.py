"""Nearest rows of a store: exact with numpy, or an inverted file of faiss for galleries of millions.

Looking at each of a million vectors takes numpy a fraction of a second, twice as long as faiss: no reason to
keep them twice."""

import importlib.util
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from filelock import FileLock

from pvchat.errors import writing
from pvchat.faces import Vector
from pvchat.synthesis.gallery.store import EmbeddingStore, Ids

EXACT_UP_TO = 1_000_000
_TRAINED_ON, _LEAST_TRAINED_ON = 64, 39  # vectors for each list; faiss warns below the latter
_log = logging.getLogger(__name__)


class Search(Protocol):
    """``name`` says which search it is."""

    name: str

    def __len__(self) -> int: ...

    def nearest(self, queries: Vector, count: int) -> Ids:
        """Rows near any of ``queries`` (R, D): the ``count`` nearest of each, once, in no order."""
        ...


def open_search(store: EmbeddingStore, *, exact_up_to: int = EXACT_UP_TO) -> Search:
    """Exact for up to ``exact_up_to`` vectors, and wherever faiss is not installed."""
    count = store.version()[1]
    if count <= exact_up_to:
        return ExactSearch(store)
    if importlib.util.find_spec("faiss") is None:
        _log.warning("%d faces are searched one by one: pip install 'pvchat[gallery]' brings faiss.", count)
        return ExactSearch(store)
    return IVFSearch(store)


class ExactSearch:
    """Every vector, in memory (4 bytes a number)."""

    name = "exact (numpy)"

    def __init__(self, store: EmbeddingStore) -> None:
        batches = list(store.batches())
        self.ids = np.concatenate([np.empty(0, np.int64), *(ids for ids, _ in batches)])
        self.vectors = np.concatenate([np.empty((0, store.width), np.float32), *(v for _, v in batches)])
        self._squares = np.einsum("nd,nd->n", self.vectors, self.vectors)

    def __len__(self) -> int:
        return len(self.ids)

    def nearest(self, queries: Vector, count: int) -> Ids:
        if count >= len(self):
            return self.ids
        # |v - q|^2 without the |q|^2 that changes no order
        away = self._squares - 2 * (np.asarray(queries, np.float32) @ self.vectors.T)
        return self.ids[np.unique(np.argpartition(away, count, axis=1)[:, :count])]


class IVFSearch:
    """faiss, IVF with 8 bits a number: one byte instead of four, and ``probed`` of the lists are read for a
    query. Built once and kept beside the store; rows that came or went are added or removed."""

    name = "IVF-SQ8 (faiss)"

    def __init__(self, store: EmbeddingStore, *, probed: float = 0.06) -> None:
        self.store, self.path = store, index_path(store)
        with FileLock(f"{self.path}.lock"):
            self.index = self._read()
            if self.index is None:
                self.index = self._trained()
            if self._catch_up():
                self._write()
        self.index.nprobe = max(8, round(self.index.nlist * probed))

    def __len__(self) -> int:
        return int(self.index.ntotal)

    def nearest(self, queries: Vector, count: int) -> Ids:
        _, found = self.index.search(np.ascontiguousarray(queries, np.float32), min(count, len(self)))
        found = np.unique(found)
        return found[found >= 0]

    def _read(self) -> Any:
        import faiss

        if not self.path.is_file():
            return None
        try:
            return faiss.read_index(str(self.path))
        except RuntimeError as error:
            _log.warning("the index %s is damaged (%s): built again.", self.path, str(error).splitlines()[0])
            return None

    def _trained(self) -> Any:
        import faiss

        ids = self.store.ids()
        lists = max(1, min(int(4 * len(ids) ** 0.5), len(ids) // _LEAST_TRAINED_ON))
        chosen = np.random.default_rng(0).permutation(ids)[: lists * _TRAINED_ON]
        width = self.store.width
        index = faiss.IndexIVFScalarQuantizer(
            faiss.IndexFlatL2(width), width, lists, faiss.ScalarQuantizer.QT_8bit
        )
        index.train(np.concatenate([v[np.isin(i, chosen)] for i, v in self.store.batches()]))
        return index

    def _catch_up(self) -> bool:
        """Make the index hold the rows of the store; true if it did not."""
        there, wanted = self._rows(), self.store.ids()
        gone, new = np.setdiff1d(there, wanted), np.setdiff1d(wanted, there)
        if len(gone):
            self.index.remove_ids(gone)
        for ids, vectors in self._batches(new):
            self.index.add_with_ids(vectors, ids)
        return bool(len(gone) or len(new))

    def _batches(self, new: Ids) -> Iterator[tuple[Ids, Vector]]:
        for ids, vectors in self.store.batches(after=int(new[0]) - 1) if len(new) else ():
            wanted = np.isin(ids, new)
            if wanted.any():
                yield ids[wanted], vectors[wanted]

    def _rows(self) -> Ids:
        import faiss

        lists = self.index.invlists
        sizes = [(i, size) for i in range(self.index.nlist) if (size := lists.list_size(i))]
        held = [faiss.rev_swig_ptr(lists.get_ids(i), size).copy() for i, size in sizes]
        return np.concatenate([np.empty(0, np.int64), *held])

    def _write(self) -> None:
        import faiss

        temporary = self.path.with_suffix(f".{os.getpid()}.tmp")
        with writing(self.path):
            try:
                faiss.write_index(self.index, str(temporary))
                os.replace(temporary, self.path)
            except RuntimeError as error:  # faiss's own, for a full disk too
                raise OSError(str(error).splitlines()[0]) from error
            finally:
                temporary.unlink(missing_ok=True)


def index_path(store: EmbeddingStore) -> Path:
    """Where the index of ``store`` is kept."""
    return store.path.with_suffix(".faiss")
