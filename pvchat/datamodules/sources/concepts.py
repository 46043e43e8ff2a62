"""What data sets of named concepts (persons, pets, things) have in common as sources."""

import hashlib
import json
import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from lightning.pytorch.utilities import rank_zero_only

from pvchat.datamodules.manifest import QA, TRAINED, Record, Split, check_records
from pvchat.datamodules.sources.wording import existence
from pvchat.datamodules.video import PHOTOS
from pvchat.errors import UserError
from pvchat.subjects import mentions


class ConceptSource(ABC):
    """The data set below ``root``, about ``subjects`` (default: all its concepts). Clips of concepts that are
    no subjects stay as clips without a subject: the negatives of a concept are the others.

    What cannot be asked, and subjects without clips, are named and counted once on stderr; files that are
    missing are left to the datamodule, which names them too. Raises UserError."""

    licence = "not stated"
    what = "photo"

    def __init__(self, *, root: str | Path, subjects: Sequence[str] | None = None) -> None:
        self.root, self._named = Path(root), tuple(subjects or ())
        self.left_out: dict[str, list[str]] = {}
        """Why something is not asked -> what."""

    @cached_property
    def subjects(self) -> tuple[str, ...]:
        if unknown := [name for name in self._named if name not in self._concepts]:
            raise UserError(
                f"subjects must be concepts of {self.root}: got {unknown[0]!r}, which has "
                f"{_listed(self._concepts)}."
            )
        return self._named or self._concepts

    @property
    def fingerprint(self) -> str:
        """Of what is asked and said, not of where the files are."""
        said = [
            (r.id, r.start_s, r.end_s, sorted(r.presence.items()), r.split, r.source_id, r.qa)
            for r in self._records
        ]
        return hashlib.sha256(repr((self.subjects, said)).encode()).hexdigest()

    def records(self) -> list[Record]:
        return list(self._records)

    @abstractmethod
    def concepts(self) -> Iterable[str]:
        """Names of all concepts."""

    @abstractmethod
    def read(self) -> list[Record]:
        """The records, by ``record``; ``left_out`` takes what cannot be one."""

    def record(
        self,
        key: str,
        path: Path,
        *,
        shown: Collection[str],
        split: Split,
        qa: Iterable[QA] = (),
        asked: Collection[str] | None = None,
        source_id: str | None = None,
        start_s: float | None = None,
        end_s: float | None = None,
        where: str | None = None,
    ) -> Record:
        """The clip ``key``, which shows ``shown``: asked is whether it shows each of ``asked`` (default: all
        subjects), then ``qa``, as far as it is about subjects alone."""
        presence = {name: name in shown for name in self.subjects}
        questions = [q for q in qa if self._can_ask(q, f"{key}: {q.question}")]
        about = {n: there for n, there in presence.items() if asked is None or n in asked}
        return Record(
            id=key,
            path=path.absolute(),
            start_s=start_s,
            end_s=end_s,
            presence=presence,
            source_id=source_id or key,
            origin="real" if any(presence.values()) else "negative",
            split=split,
            licence=self.licence,
            consent="not stated",
            qa=(*existence(about, what=self.what), *questions),
            where=where or key,
        )

    def leave_out(self, why: str, what: str) -> None:
        self.left_out.setdefault(why, []).append(what)

    def pictures(self, folder: Path, known: Collection[str] = ()) -> list[Path]:
        """Photos in ``folder``, 2 before 10; other files are left out unless they are ``known``."""
        there = folder.iterdir() if folder.is_dir() else ()
        files = sorted((p for p in there if p.is_file() and p.name[0] != "."), key=lambda p: natural(p.name))
        for path in files:
            if path.suffix.lower() not in PHOTOS and path.name not in known:
                self.leave_out("files that are no photos", str(path.relative_to(self.root)))
        return [p for p in files if p.suffix.lower() in PHOTOS]

    def _can_ask(self, qa: QA, what: str) -> bool:
        named = (*qa.subjects, *mentions(qa.question), *mentions(qa.answer))
        known = all(name in self.subjects for name in named)
        if not known:
            self.leave_out("questions about concepts that are no subjects", what)
        return known

    @cached_property
    def _concepts(self) -> tuple[str, ...]:
        if not self.root.is_dir():
            raise UserError(f"root must be the folder of the data set: {self.root} is none.")
        found = tuple(sorted(set(self.concepts()), key=natural))
        if not found:
            raise UserError(f"{self.root} holds no concept as {type(self).__name__} has them (docs/data.md).")
        return found

    @cached_property
    def _records(self) -> list[Record]:
        self.left_out.clear()
        records = self.read()
        check_records(records, subjects=self.subjects)
        for what, splits in (("training", TRAINED), ("test", ("test",))):
            shown = {n for r in records if r.split in splits for n, there in r.presence.items() if there}
            for name in self.subjects:
                if name not in shown:
                    self.leave_out(f"subjects without {what} clips", name)
        for why, some in self.left_out.items():
            tell(f"{type(self).__name__} {self.root}: {len(some)} {why}: {_listed(some)}.")
        return records


def folders(path: Path) -> list[Path]:
    """Sub-folders of ``path``, sorted; none where there is no ``path``."""
    found = [p for p in path.iterdir() if p.is_dir() and not p.name.startswith(".")] if path.is_dir() else []
    return sorted(found, key=lambda p: natural(p.name))


def natural(name: str) -> tuple[tuple[bool, int, str], ...]:
    """Sort key: 2.png before 10.png."""
    parts = re.findall(r"\d+|\D+", name)
    return tuple((not p.isdecimal(), int(p) if p.isdecimal() else 0, p) for p in parts)


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in ``path``. Raises UserError."""
    data = read_json(path)
    if not isinstance(data, dict):
        raise UserError(f"{path} must hold a JSON object: got {str(data)[:40]!r}.")
    return data


def read_json(path: Path) -> Any:
    """What the JSON file ``path`` holds. Raises UserError."""
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=_unique)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not valid JSON: {error}.") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Python would keep the last of two values under one key and lose the other."""
    keys = [key for key, _ in pairs]
    if twice := [key for key in keys if keys.count(key) > 1]:
        raise ValueError(f"key {twice[0]!r} is given twice")
    return dict(pairs)


def text_of(item: Any, key: str, where: str) -> str:
    """The non-empty text ``item[key]``. Raises UserError."""
    value = item.get(key) if isinstance(item, dict) else None
    if not isinstance(value, str) or not value.strip():
        raise UserError(f"{where}: {key} must be a non-empty string: got {value!r}.")
    return value


@rank_zero_only
def tell(text: str) -> None:
    """On stderr, in one process."""
    print(text, file=sys.stderr)


def _listed(items: Sequence[str], most: int = 5) -> str:
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(items[:most]) + more
