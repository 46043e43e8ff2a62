"""What a subject leaves behind - name, clips, face - and where: in a corpus folder, in the user's caches."""

import hashlib
import html
import json
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pvchat.datamodules.cache import FeatureCache
from pvchat.endpoint.replies import Replies
from pvchat.faces import EMBEDDING_WIDTH, SAME_PERSON, Vector
from pvchat.synthesis.gallery.search import index_path
from pvchat.synthesis.gallery.store import EmbeddingStore

TEXTS = {".csv", ".html", ".json", ".jsonl", ".md", ".txt", ".yaml", ".yml"}
_CLIP_KEY = re.compile(r"([0-9a-f]{64}) [0-9a-f]{64}\b")  # video.clip_key
_DIGEST = re.compile(r"\b[0-9a-f]{64}\b")


@dataclass(frozen=True)
class Trace:
    """``contents``: sha256 of the clips; ``faces`` (N, 128): embeddings, nearer than ``nearer_than`` (L2) is
    the subject; ``digests``: sha256 that the histories of the clips name, those of replies among them."""

    subject: str
    contents: frozenset[str]
    faces: tuple[tuple[float, ...], ...] = ()
    digests: frozenset[str] = frozenset()
    nearer_than: float = SAME_PERSON

    @cached_property
    def name(self) -> re.Pattern[str]:
        """The name as a word, as it is written in prose, JSON and HTML."""
        spelled = {self.subject, self.subject.capitalize(), self.subject[:1].upper() + self.subject[1:]}
        spelled |= {json.dumps(n)[1:-1] for n in spelled} | {html.escape(n) for n in spelled}
        words = "|".join(re.escape(n) for n in sorted(spelled, key=len, reverse=True))
        return re.compile(rf"(?<![^\W_])(?:{words})(?![^\W_])")

    def distances(self, vectors: Vector) -> npt.NDArray[np.float64]:
        """Of each of ``vectors`` (n, 128) to the nearest of the faces."""
        faces = np.asarray(self.faces, np.float64).reshape(-1, EMBEDDING_WIDTH)
        away = np.linalg.norm(np.asarray(vectors, np.float64)[:, None] - faces[None], axis=2)
        return np.asarray(away.min(1, initial=np.inf))


UNTOLD = "cached features that nobody can tell whose they are (damaged, or of former versions)"


@dataclass
class Caches:
    """``root`` is the user cache, ``clips`` the folders with features of clips: its own and those of runs."""

    root: Path
    clips: Sequence[Path] = field(default_factory=list)

    def clear(self, trace: Trace) -> Counter[str]:
        """Remove what belongs to the subject; says how many of what. Twice is as good as once."""
        gone: Counter[str] = Counter()
        for kind, path in self._entries(trace, ours=True):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
            gone[kind] += 1
        stores = list(self._stores())
        contents = {c for store in stores for c in self._contents(trace, store)}
        for store in stores:
            if own := contents & store.contents():
                store.forget(own)
                index_path(store).unlink(missing_ok=True)
                gone["pictures of galleries"] += len(own)
        return gone

    def left(self, trace: Trace) -> Iterator[str]:
        """What still belongs to the subject."""
        yield from (f"{kind}: {path}" for kind, path in self._entries(trace, ours=False))
        for store in self._stores():
            if count := len(self._contents(trace, store)):
                yield f"pictures of galleries: {count} in {store.path}"

    def _entries(self, trace: Trace, *, ours: bool) -> Iterator[tuple[str, Path]]:
        """Files and folders. With ``ours`` also entries that nobody can tell: damaged, or of former
        versions, which no run reads."""
        for root in dict.fromkeys([self.root / "clips", *self.clips]):
            for part in ("frames", "features"):
                for path, key in FeatureCache(root / part).entries():
                    match = _CLIP_KEY.match(key)
                    if match[1] in trace.contents if match else ours:
                        yield "features of clips" if match else UNTOLD, path
        for path, text in Replies(self.root / "replies").texts():
            if path.stem in trace.digests or trace.name.search(text):
                yield "replies of endpoints", path
        for folder in sorted((self.root / "shards").glob("*/")):
            manifest = folder / "manifest.jsonl"
            if not manifest.is_file() or trace.name.search(manifest.read_text(encoding="utf-8")):
                yield "unpacked shards", folder

    def _stores(self) -> Iterator[EmbeddingStore]:
        for path in sorted((self.root / "galleries").glob("*.sqlite")):
            if store := EmbeddingStore.found(path):
                yield store

    @staticmethod
    def _contents(trace: Trace, store: EmbeddingStore) -> set[str]:
        """Pictures of a gallery that are clips of the subject or show a face like theirs."""
        own = {c for c in store.contents() if c[:64] in trace.contents}
        if trace.faces and store.width == EMBEDDING_WIDTH:
            own |= store.contents_of(store.within(trace.distances, trace.nearer_than)).keys()
        return own


def search_folder(
    folder: Path, trace: Trace, *, without: Iterable[Path] = ()
) -> Iterator[tuple[Path, list[str]]]:
    """Each file below ``folder``, links not followed, and what of the subject is in it."""
    skipped = set(without)
    for path in sorted(folder.rglob("*")):
        if path in skipped or (path.is_dir() and not path.is_symlink()):
            continue
        found = [f"the name of {path}"] if trace.name.search(path.relative_to(folder).as_posix()) else []
        if path.is_symlink():
            yield path, found
            continue
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() in trace.contents:
            found.append(f"a clip: {path}")
        if path.suffix.lower() in TEXTS:
            text = data.decode(errors="replace")
            for number, line in enumerate(text.split("\n"), 1):
                if trace.name.search(line) or trace.contents & set(_DIGEST.findall(line)):
                    found.append(f"{path} line {number}")
            faces = embeddings(text) if path.suffix == ".json" else []
            if faces and trace.faces and trace.distances(np.asarray(faces)).min() < trace.nearer_than:
                found.append(f"a face: {path}")
        yield path, found


def digests(text: str) -> set[str]:
    """All sha256 that are named in ``text``."""
    return set(_DIGEST.findall(text))


def embeddings(text: str) -> list[tuple[float, ...]]:
    """Face embeddings anywhere in a JSON ``text``: its lists of 128 numbers."""
    try:
        return list(_vectors(json.loads(text)))
    except ValueError:
        return []


def scrubbed(value: Any, trace: Trace) -> Any:
    """A JSON ``value`` without keys and items that are the subject, and without the name in other text."""
    if isinstance(value, dict):
        return {
            trace.name.sub("forgotten", k): scrubbed(v, trace) for k, v in value.items() if k != trace.subject
        }
    if isinstance(value, list):
        return [scrubbed(item, trace) for item in value if item != trace.subject]
    return trace.name.sub("forgotten", value) if isinstance(value, str) else value


def _vectors(value: Any) -> Iterator[tuple[float, ...]]:
    if isinstance(value, list) and len(value) == EMBEDDING_WIDTH and all(isinstance(v, float) for v in value):
        yield tuple(value)
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _vectors(item)
