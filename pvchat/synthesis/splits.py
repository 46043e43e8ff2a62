"""Reference, training, validation and test: clips dealt out so, and what of a test clip was seen before."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from pvchat.datamodules.manifest import Record, Split, overlaps
from pvchat.errors import UserError

Shared = Literal["source", "background", "time"]
_HELD_OUT: tuple[Split, ...] = ("test", "validation")


@dataclass(frozen=True)
class Leak:
    """A ``test`` clip that shares something with an ``earlier`` one, which trains or sets the threshold."""

    shared: Shared
    test: Record
    earlier: Record

    def __str__(self) -> str:
        what = {
            "source": f"its source {self.test.source_id!r}",
            "background": f"its background {self.test.background!r}",
            "time": f"seconds of {self.test.path.name}",
        }[self.shared]
        where = f" ({self.earlier.where})" if self.earlier.where else ""
        return (
            f"{self.test.where or 'clip'}: test clip {self.test.id!r} shares {what} with "
            f"{self.earlier.split} clip {self.earlier.id!r}{where}."
        )


def find_leaks(records: Sequence[Record], *, allow: Collection[Shared] = ()) -> list[Leak]:
    """What test clips share with other splits but for what is allowed: one leak for each test clip and thing,
    with the first clip that has it too."""
    seen: dict[tuple[Shared, object], list[Record]] = {}
    for record in records:
        if record.split != "test":
            for key in _traits(record):
                seen.setdefault(key, []).append(record)
    leaks = []
    for record in records:
        for key in _traits(record) if record.split == "test" else ():
            others = seen.get(key, [])
            if key[0] == "time":
                others = [other for other in others if overlaps(record, other)]
            if others and key[0] not in allow:
                leaks.append(Leak(key[0], record, others[0]))
    return leaks


def check_leaks(records: Sequence[Record], *, allow: Collection[Shared] = ()) -> None:
    """Raise UserError, which names the first, if ``find_leaks`` finds any."""
    if leaks := find_leaks(records, allow=allow):
        more = f" So do {len(leaks) - 1} more." if len(leaks) > 1 else ""
        raise UserError(f"{leaks[0]}{more} Give the test material of its own, or allow {leaks[0].shared!r}.")


def deal_splits(
    records: Sequence[Record],
    *,
    test: float,
    validation: float,
    seed: int,
    allow: Collection[Shared] = (),
) -> list[Record]:
    """``records`` with their split: those of ``reference`` keep it, of the others up to these shares of every
    pattern of presence are held out. Clips that share what is not allowed stay together, with the reference
    if it is one of them, so there may be less to hold out. Same seed, same splits. Raises UserError for
    shares that leave nothing to train on."""
    shares = {"test": test, "validation": validation}
    if min(shares.values()) < 0 or sum(shares.values()) >= 1:
        raise UserError(f"shares held out must be >= 0 and less than 1 together: got {shares}.")
    patterns = Counter(_pattern(r) for r in records if r.split != "reference")
    room = {split: Counter({p: round(shares[split] * n) for p, n in patterns.items()}) for split in _HELD_OUT}
    dealt: dict[str, Split] = {}
    groups = _related(records, allow)
    for i in np.random.default_rng(seed).permutation(len(groups)):
        group = groups[i]
        size = Counter(_pattern(r) for r in group)
        split: Split = "train"
        if all(r.split != "reference" for r in group):
            split = next((s for s in _HELD_OUT if size <= room[s]), "train")
        if split != "train":
            room[split] -= size
        dealt |= {r.id: split for r in group}
    return [r if r.split == "reference" else replace(r, split=dealt[r.id]) for r in records]


def _traits(record: Record) -> Iterator[tuple[Shared, object]]:
    """What other clips may share with it; of a file, the seconds count."""
    yield "source", record.source_id
    if record.background is not None:
        yield "background", record.background
    yield "time", record.path


def _related(records: Sequence[Record], allow: Collection[Shared]) -> list[list[Record]]:
    """Groups of clips that share something, directly or through others."""
    parents: dict[object, object] = {}

    def root(key: object) -> object:
        while parents.setdefault(key, key) != key:
            key = parents[key]
        return key

    files: dict[Path, list[Record]] = {}
    for record in records:
        for trait in _traits(record):
            if trait[0] not in allow and trait[0] != "time":
                parents[root(trait)] = root(record.id)
        for other in files.setdefault(record.path, []):
            if overlaps(record, other):
                parents[root(other.id)] = root(record.id)
        files[record.path].append(record)
    groups: dict[object, list[Record]] = {}
    for record in records:
        groups.setdefault(root(record.id), []).append(record)
    return list(groups.values())


def _pattern(record: Record) -> tuple[bool, ...]:
    return tuple(record.presence.values())
