"""Embeddings of a gallery on disk: one SQLite file, so that an interrupted run loses one picture at most and
several processes read while one writes.

Rows belong to contents, not to names: a renamed or copied picture is not embedded again."""

import json
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pvchat.errors import UserError, writing
from pvchat.faces import Vector
from pvchat.synthesis.gallery.pictures import Picture

Ids = npt.NDArray[np.int64]
_BATCH = 50_000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS contents (content TEXT PRIMARY KEY, fault TEXT, forgotten INTEGER DEFAULT 0);
CREATE TABLE IF NOT EXISTS faces (
    id INTEGER PRIMARY KEY AUTOINCREMENT, content TEXT NOT NULL, vector BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS files (
    key TEXT PRIMARY KEY, source TEXT NOT NULL, stamp TEXT NOT NULL, content TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS faces_content ON faces (content);
CREATE INDEX IF NOT EXISTS files_content ON files (content);
CREATE INDEX IF NOT EXISTS files_source ON files (source);
"""
_PLACE = (
    "INSERT OR REPLACE INTO files (key, source, stamp, content) "
    "SELECT ?, ?, ?, content FROM contents WHERE content = ? AND NOT forgotten"
)


class EmbeddingStore:
    """``path`` is made on first use. Numbers of rows are never used again, so they name rows for ever."""

    def __init__(self, path: str | Path, *, width: int) -> None:
        self.path, self.width = Path(path), width

    @classmethod
    def found(cls, path: Path) -> "EmbeddingStore | None":
        """The store at ``path``, as wide as what it holds; None where it holds no face."""
        with cls(path, width=0)._open() as db:
            row = db.execute("SELECT LENGTH(vector) FROM faces LIMIT 1").fetchone()
        return None if row is None else cls(path, width=row[0] // 4)

    def files(self) -> dict[str, tuple[str, str]]:
        """Stamp and content by key."""
        with self._open() as db:
            return {key: (stamp, content) for key, stamp, content in db.execute(
                "SELECT key, stamp, content FROM files")}  # fmt: skip

    def __contains__(self, content: str) -> bool:
        """It was embedded, found broken, or is to stay forgotten."""
        with self._open() as db:
            return db.execute("SELECT 1 FROM contents WHERE content = ?", (content,)).fetchone() is not None

    def add(
        self, picture: Picture, content: str, vectors: Sequence[Vector], *, fault: str | None = None
    ) -> None:
        """Keep the faces of the content of ``picture``, or what is wrong with it."""
        rows = [(content, np.asarray(v, "<f4").tobytes()) for v in vectors]
        with self._open() as db:
            db.execute("INSERT OR IGNORE INTO contents (content, fault) VALUES (?, ?)", (content, fault))
            db.executemany("INSERT INTO faces (content, vector) VALUES (?, ?)", rows)
            db.execute(_PLACE, (*vars(picture).values(), content))

    def place(self, picture: Picture, content: str) -> None:
        """Say that ``picture`` shows ``content`` now; a forgotten content stays so."""
        with self._open() as db:
            db.execute(_PLACE, (*vars(picture).values(), content))

    def keep(self, keys: Iterable[str]) -> int:
        """Drop all files but ``keys``, and faces nobody has any more; returns how many files went."""
        with self._open() as db:
            gone = {key for (key,) in db.execute("SELECT key FROM files")} - set(keys)
            db.executemany("DELETE FROM files WHERE key = ?", [(key,) for key in gone])
            unused = "content NOT IN (SELECT content FROM files)"
            db.execute(f"DELETE FROM faces WHERE {unused}")
            db.execute(f"DELETE FROM contents WHERE {unused} AND NOT forgotten")
        return len(gone)

    def forget(self, contents: Collection[str]) -> None:
        """Overwrite the faces of ``contents`` and drop their files. Their hashes stay, so that the same bytes
        are not embedded again."""
        with self._open() as db:
            for content in contents:
                db.execute("DELETE FROM faces WHERE content = ?", (content,))
                db.execute("DELETE FROM files WHERE content = ?", (content,))
                db.execute("INSERT OR REPLACE INTO contents VALUES (?, NULL, 1)", (content,))

    def contents(self) -> set[str]:
        """All that are kept."""
        with self._open() as db:
            return {c for (c,) in db.execute("SELECT content FROM contents WHERE NOT forgotten")}

    def faults(self) -> dict[str, str]:
        """What is wrong, by key, with the files that are broken."""
        with self._open() as db:
            query = "SELECT key, fault FROM files JOIN contents USING (content) WHERE fault IS NOT NULL"
            return dict(db.execute(f"{query} ORDER BY key").fetchall())

    def ids(self) -> Ids:
        """Of all faces, ascending."""
        with self._open() as db:
            found = [i for (i,) in db.execute("SELECT id FROM faces ORDER BY id")]
        return np.array(found, np.int64)

    def version(self) -> tuple[int, int]:
        """Changes when faces come or go."""
        with self._open() as db:
            last, count = db.execute("SELECT COALESCE(MAX(id), 0), COUNT(*) FROM faces").fetchone()
        return last, count

    def batches(self, *, after: int = 0) -> Iterator[tuple[Ids, Vector]]:
        """Numbers (n,) and vectors (n, D) of the faces with numbers above ``after``, ascending."""
        while True:
            with self._open() as db:
                rows = db.execute(
                    "SELECT id, vector FROM faces WHERE id > ? ORDER BY id LIMIT ?", (after, _BATCH)
                ).fetchall()
            if not rows:
                return
            after = rows[-1][0]
            yield np.array([i for i, _ in rows], np.int64), self._vectors([v for _, v in rows])

    def sources_of(self, ids: Ids) -> dict[int, list[str]]:
        """Sources that show a face, by its number."""
        found: dict[int, list[str]] = {}
        with self._open() as db:
            for i, source in db.execute(
                "SELECT faces.id, source FROM faces JOIN files USING (content) "
                "WHERE faces.id IN (SELECT value FROM json_each(?)) ORDER BY source",
                (json.dumps(ids.tolist()),),
            ):
                found.setdefault(i, []).append(source)
        return found

    def sources(self) -> list[str]:
        """All that show a face, sorted."""
        with self._open() as db:
            query = "SELECT DISTINCT source FROM files JOIN faces USING (content) ORDER BY source"
            return [source for (source,) in db.execute(query)]

    def shown_in(self, sources: Collection[str]) -> dict[str, dict[str, Vector]]:
        """Faces (n, D) by key, by source."""
        found: dict[str, dict[str, list[bytes]]] = {}
        with self._open() as db:
            for source, key, vector in db.execute(
                "SELECT source, key, vector FROM files JOIN faces USING (content) "
                "WHERE source IN (SELECT value FROM json_each(?)) ORDER BY source, key, faces.id",
                (json.dumps(list(sources)),),
            ):
                found.setdefault(source, {}).setdefault(key, []).append(vector)
        return {s: {k: self._vectors(v) for k, v in keys.items()} for s, keys in found.items()}

    def contents_of(self, ids: Ids) -> dict[str, list[str]]:
        """Keys by content, of the faces ``ids``."""
        found: dict[str, list[str]] = {}
        with self._open() as db:
            for content, key in db.execute(
                "SELECT DISTINCT content, key FROM files JOIN faces USING (content) "
                "WHERE faces.id IN (SELECT value FROM json_each(?)) ORDER BY key",
                (json.dumps(ids.tolist()),),
            ):
                found.setdefault(content, []).append(key)
        return found

    def within(self, distances: Callable[[Vector], npt.NDArray[np.float64]], bound: float) -> Ids:
        """Faces whose distance is below ``bound``, by looking at each of them."""
        near = [ids[distances(vectors) < bound] for ids, vectors in self.batches()]
        return np.concatenate([np.empty(0, np.int64), *near])

    def _vectors(self, blobs: Sequence[bytes]) -> Vector:
        return np.frombuffer(b"".join(blobs), "<f4").reshape(-1, self.width)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A transaction of its own: forked and parallel processes must not share a connection."""
        with writing(self.path.parent):
            self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            db = sqlite3.connect(self.path, timeout=120)
            try:
                db.execute("PRAGMA secure_delete = ON")  # what is deleted is overwritten, too
                db.executescript(_SCHEMA)
                with db:
                    yield db
            finally:
                db.close()
        except sqlite3.Error as error:
            raise UserError(
                f"the embeddings in {self.path} cannot be used: {error}. Give a folder that is yours and has "
                "room; if the file is damaged, delete it and the gallery is embedded again."
            ) from error
