"""Negatives out of a gallery: people who look like the subject, or anybody, and never the subject."""

import hashlib
from collections.abc import Collection
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pvchat import __version__
from pvchat.assets import cache_dir
from pvchat.errors import UserError
from pvchat.faces import Vector
from pvchat.synthesis.gallery.embedders import Embedder
from pvchat.synthesis.gallery.pictures import Frames, Gallery, digest
from pvchat.synthesis.gallery.search import EXACT_UP_TO, Search, index_path, open_search
from pvchat.synthesis.gallery.store import EmbeddingStore
from pvchat.synthesis.gallery.survey import Survey, survey
from pvchat.synthesis.roles import Adapter, Neighbour


class GalleryRetriever:
    """A ``roles.NegativeRetriever``. Embeds what is new in ``gallery`` on first use; ``refresh`` does so
    again. Faces are kept below ``store`` (default: the user cache), one file for each gallery and embedder.

    A picture shows the subject if any face of any picture of its source is nearer than asked. References are
    one vector (D,) or several (R, D); the nearest of them counts. Distances are exact in what is returned,
    even where an index is searched that may miss some."""

    def __init__(
        self,
        *,
        gallery: Gallery,
        embedder: Embedder,
        store: str | Path | None = None,
        exact_up_to: int = EXACT_UP_TO,
    ) -> None:
        self.gallery, self.embedder, self.exact_up_to = gallery, embedder, exact_up_to
        below = cache_dir() / "galleries" if store is None else Path(store)
        name = digest(type(gallery).__name__, str(gallery.root), embedder.fingerprint)[:16]
        self.store = EmbeddingStore(below / f"{name}.sqlite", width=embedder.width)
        self.adapter = Adapter(
            name="gallery",
            version=__version__,
            licence=f"{gallery.licence}; {embedder.licence}",
            commercial=gallery.commercial,
            fingerprint=embedder.fingerprint,
        )
        self._survey: Survey | None = None
        self._search: tuple[tuple[int, int], Search] | None = None

    def refresh(self) -> Survey:
        """Embed files that are new or changed, drop those that are gone; says what was found."""
        self._survey = survey(self.gallery, self.embedder, self.store)
        return self._survey

    @property
    def search(self) -> Search:
        """The search over what the store holds now; its ``name`` says which ran."""
        version = self.store.version()
        if self._search is None or self._search[0] != version:
            self._search = version, open_search(self.store, exact_up_to=self.exact_up_to)
        return self._search[1]

    def nearest(
        self, face: Vector, count: int, *, farther_than: float, without: Collection[str] = ()
    ) -> list[Neighbour]:
        """Up to ``count`` pictures of different sources, the nearest first. ``without``: keys whose sources
        are left out as well. Raises UserError where nobody is left."""
        references, search = self._checked(face), self.search
        reach = max(64, 4 * count)
        while True:
            rows = self.store.sources_of(search.nearest(references, reach))
            sources = {source for row in rows.values() for source in row}
            found = self._others(sources, references, farther_than, without)
            if len(found) >= count or reach >= len(search):
                break
            reach *= 4
        if not found:
            raise UserError(self._nobody(farther_than, without))
        return sorted(found.values(), key=lambda n: (n.distance, n.key))[:count]

    def random(
        self, face: Vector, count: int, *, seed: int, farther_than: float, without: Collection[str] = ()
    ) -> list[Neighbour]:
        """Up to ``count`` pictures of different sources in an order that depends on ``seed`` and the sources'
        names alone. Raises UserError where nobody is left."""
        references, drawn = self._checked(face), self._shuffled(seed)
        found: dict[str, Neighbour] = {}
        while drawn and len(found) < count:
            some, drawn = drawn[: 4 * count], drawn[4 * count :]
            others = self._others(some, references, farther_than, without)
            found |= {source: others[source] for source in some if source in others}
        if not found:
            raise UserError(self._nobody(farther_than, without))
        return list(found.values())[:count]

    def looks(self, count: int, *, seed: int) -> list[list[Vector]]:
        """Faces of ``count`` random sources, one list each: impostors to calibrate an ``IdentityGate`` on."""
        self._ready()
        shown = self.store.shown_in(chosen := self._shuffled(seed)[:count])
        return [[v for faces in shown[source].values() for v in faces] for source in chosen]

    def near(self, face: Vector, distance: float) -> list[str]:
        """Keys of all pictures with a face nearer than ``distance``, by looking at each: the subject's."""
        references = self._checked(face)
        rows = self.store.within(lambda vectors: self._distances(references, vectors), distance)
        return sorted(key for keys in self.store.contents_of(rows).values() for key in keys)

    def forget(
        self, *, keys: Collection[str] = (), face: Vector | None = None, nearer_than: float = 0.0
    ) -> list[str]:
        """Remove all that is kept of the pictures ``keys``, and of those with a face nearer than
        ``nearer_than`` to ``face``; returns their keys. Copies under other names go, too.

        Rows are overwritten on the disk and the index, which learned from them, is deleted. The pictures are
        the user's to delete; while their bytes are the same they are not embedded again."""
        if face is not None:
            keys = {*keys, *self.near(face, nearer_than)}
        files = self.store.files()
        if unknown := sorted(set(keys) - files.keys()):
            raise UserError(
                f"only pictures of {self.gallery.root} can be forgotten: it has no {unknown[0]!r}."
            )
        contents = {files[key][1] for key in keys}
        self.store.forget(contents)
        index_path(self.store).unlink(missing_ok=True)
        self._search = None
        return sorted(key for key, (_, content) in files.items() if content in contents)

    def read(self, key: str) -> Frames:
        """Frames (T, H, W, 3) of a picture."""
        return self.gallery.read(key)

    def _others(
        self,
        sources: Collection[str],
        references: Vector,
        farther_than: float,
        without: Collection[str],
    ) -> dict[str, Neighbour]:
        """Of each source that does not show the subject the nearest picture."""
        found = {}
        for source, pictures in self.store.shown_in(sources).items():
            away = {k: float(self._distances(references, v).min()) for k, v in pictures.items()}
            key = min(away, key=lambda k: (away[k], k))
            if away[key] >= farther_than and away.keys().isdisjoint(without):
                found[source] = Neighbour(key, away[key])
        return found

    def _distances(self, references: Vector, vectors: Vector) -> npt.NDArray[np.float64]:
        """Exact distances (n,) to the nearest of ``references``."""
        away = np.stack([np.linalg.norm(vectors.astype(np.float64) - r, axis=1) for r in references]).min(0)
        return np.asarray(away**2 / 2 if self.embedder.cosine else away)

    def _checked(self, face: Vector) -> Vector:
        references = np.atleast_2d(np.asarray(face, np.float32))
        if references.ndim != 2 or references.shape[1] != self.store.width or not len(references):
            raise UserError(
                f"references must be vectors of {self.store.width} numbers, as the gallery's embedder makes "
                f"them: got shape {np.shape(face)}."
            )
        self._ready()
        return references

    def _ready(self) -> None:
        report = self._survey or self.refresh()
        if not self.store.version()[1]:
            raise UserError(
                f"a gallery must show faces: in none of the {report.pictures - len(report.broken)} pictures "
                f"of {self.gallery.root} that can be read one was found. Add photos of people."
            )

    def _shuffled(self, seed: int) -> list[str]:
        return sorted(self.store.sources(), key=lambda s: hashlib.sha256(f"{seed} {s}".encode()).hexdigest())

    def _nobody(self, farther_than: float, without: Collection[str]) -> str:
        also = f" or among the {len(without)} left out" if without else ""
        return (
            f"a gallery must show people who are not the subject: all faces of {self.gallery.root} are "
            f"nearer than {farther_than:g} to the subject{also}. Add photos of other people."
        )
