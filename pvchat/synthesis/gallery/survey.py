"""Embeds what is new in a gallery and drops what is gone."""

import logging
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout
from tqdm import tqdm

from pvchat.errors import UserError, writing
from pvchat.synthesis.gallery.embedders import Embedder
from pvchat.synthesis.gallery.pictures import Gallery, Picture
from pvchat.synthesis.gallery.store import EmbeddingStore

_SHOWN = 3
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Survey:
    """How many pictures a gallery has, how many of them were ``embedded`` this time, how many files are gone
    since the last time, and why some are left out, by key."""

    pictures: int
    embedded: int
    gone: int
    broken: dict[str, str]

    def __str__(self) -> str:
        left_out = f", {len(self.broken)} left out: {_some(self.broken)}" if self.broken else ""
        return f"{self.pictures} pictures, {self.embedded} embedded now, {self.gone} gone{left_out}."


def survey(gallery: Gallery, embedder: Embedder, store: EmbeddingStore) -> Survey:
    """Bring ``store`` up to date. Killed, it goes on where it was; a second process waits and finds
    all done. Raises UserError for a gallery without pictures, and where none can be read; what the store
    held stays then."""
    with writing(store.path.parent):
        store.path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(store.path.with_suffix(".lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            _log.warning("another run embeds the gallery %s: waiting for it.", gallery.root)
            lock.acquire()
    try:
        return _survey(gallery, embedder, store)
    finally:
        lock.release()


def _survey(gallery: Gallery, embedder: Embedder, store: EmbeddingStore) -> Survey:
    listed = list(gallery.pictures())
    if not listed:
        raise UserError(f"a gallery must hold photos or clips of other people: {gallery.root} has none.")
    known, embedded = store.files(), 0
    broken: dict[str, str] = {}
    new = [p for p in listed if known.get(p.key, ("",))[0] != p.stamp]
    for picture in tqdm(new, desc="gallery", unit="picture"):
        try:
            embedded += _take(picture, gallery, embedder, store)
        except UserError as error:
            broken[picture.key] = str(error)
    keys = {p.key for p in listed}
    readable = keys - broken.keys()
    broken |= {key: fault for key, fault in store.faults().items() if key in keys}
    if len(broken) == len(listed):
        raise UserError(
            f"a gallery must hold pictures that can be read: none of the {len(listed)} of {gallery.root} "
            f"can: {_some(dict(sorted(broken.items())))}."
        )
    return Survey(len(listed), embedded, store.keep(readable), dict(sorted(broken.items())))


def _take(picture: Picture, gallery: Gallery, embedder: Embedder, store: EmbeddingStore) -> bool:
    """True if the picture had to be embedded. Raises UserError where its file cannot be read at all."""
    try:
        picture.key.encode()
    except UnicodeEncodeError as error:
        raise UserError(f"the name {picture.key!r} is not valid Unicode. Rename the file.") from error
    content = gallery.content(picture.key)
    if content in store:
        store.place(picture, content)
        return False
    try:
        store.add(picture, content, embedder.embed(gallery.read(picture.key)))
    except UserError as error:  # these bytes will be as broken the next time
        store.add(picture, content, [], fault=str(error))
    return True


def _some(broken: dict[str, str]) -> str:
    reasons = [f"{Path(key).name} ({reason.rstrip('.')})" for key, reason in broken.items()]
    more = f" and {len(reasons) - _SHOWN} more" if len(reasons) > _SHOWN else ""
    return "; ".join(reasons[:_SHOWN]) + more
