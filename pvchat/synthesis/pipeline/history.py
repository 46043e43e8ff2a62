"""The history of a clip, in a file beside it: who made it, of what, how it was judged. It is what resumes."""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path

import numpy as np

from pvchat.synthesis.gate import Verdict
from pvchat.synthesis.roles import Adapter
from pvchat.synthesis.writing import write_text

VERSION = 1


@dataclass(frozen=True)
class Score:
    """How near the clip is to a subject (L2 of face embeddings, None without a face), whether that is as it
    should be, and the gate's sentence."""

    distance: float | None
    passed: bool
    reason: str

    @classmethod
    def of(cls, verdict: Verdict) -> "Score":
        distance = round(verdict.distance, 4) if math.isfinite(verdict.distance) else None
        return cls(distance, verdict.passed, verdict.reason)


@dataclass(frozen=True)
class History:
    """``key`` names all that the clip depends on; ``sha256`` its file. ``scores``: subject -> how the gate
    judged the clip; ``passed`` is False for one that is kept to be looked at and not used. ``replies``: keys
    of what endpoints said about it."""

    id: str
    key: str
    sha256: str
    person: str
    adapter: Adapter
    seed: int
    command: str
    inputs: tuple[str, ...]
    passed: bool
    scores: Mapping[str, Score]
    replies: tuple[str, ...] = ()

    @property
    def reason(self) -> str:
        """Why it did not pass."""
        return " ".join(f"{name}: {score.reason}" for name, score in self.scores.items() if not score.passed)

    def write(self, path: Path) -> None:
        text = json.dumps({"version": VERSION, **asdict(self)}, indent=1, ensure_ascii=False)
        write_text(path, text + "\n")


def read_history(path: Path) -> History | None:
    """The history in ``path``; None where there is none that can be used."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data.pop("version") != VERSION:
            return None
        data["adapter"] = Adapter(**data["adapter"])
        data["inputs"], data["replies"] = tuple(data["inputs"]), tuple(data.get("replies", ()))
        data["scores"] = {name: Score(**score) for name, score in data["scores"].items()}
        return History(**data)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def note_replies(path: Path, keys: Iterable[str]) -> None:
    """Add ``keys`` of replies to the history in ``path``, also where it has nothing else to tell: by them
    ``pvchat forget`` finds what was said about a clip."""
    history = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    known = history.get("replies", [])
    if not set(keys) <= set(known):
        history["replies"] = sorted({*known, *keys})
        write_text(path, json.dumps(history, indent=1, ensure_ascii=False) + "\n")


def fingerprint(*parts: object) -> str:
    """Hash of values, arrays and dataclasses, by their content."""
    digest = hashlib.sha256()
    for part in parts:
        _feed(digest, part)
    return digest.hexdigest()[:32]


def _feed(digest: "hashlib._Hash", part: object) -> None:
    if isinstance(part, np.ndarray):
        digest.update(f"{part.dtype}{part.shape}".encode())
        digest.update(np.ascontiguousarray(part).tobytes())
    elif is_dataclass(part):
        digest.update(type(part).__name__.encode())
        for field in fields(part):
            digest.update(f".{field.name}=".encode())
            _feed(digest, getattr(part, field.name))
    elif isinstance(part, Mapping):
        digest.update(f"{{{len(part)}".encode())
        for key, value in part.items():
            _feed(digest, key)
            _feed(digest, value)
    elif isinstance(part, tuple | list):
        digest.update(f"[{len(part)}".encode())
        for value in part:
            _feed(digest, value)
    else:
        digest.update(f"{type(part).__name__}:{part!r};".encode())
