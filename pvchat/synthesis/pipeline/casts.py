"""Who is filmed in which split: nobody's pictures, and no stranger, on both sides of a test."""

from collections.abc import Collection, Mapping, Sequence
from typing import TypeVar

from pvchat.datamodules.manifest import Split
from pvchat.synthesis.pipeline.takes import SPLITS, A, Cast

T = TypeVar("T")
SHARES: tuple[tuple[Split, float], ...] = (("train", 0.5), ("validation", 0.65), ("test", 1.0))
"""Up to which part of a recording, or of a list of photos, pictures go to each split."""


def split_own(pictures: Sequence[tuple[T, float]]) -> dict[Split, list[T]]:
    """Pictures of a subject by where they lie in their recording or list (0..1). A split that would
    have none is left out, but for validation, which then has those of the training."""
    dealt: dict[Split, list[T]] = {split: [] for split in SPLITS}
    for picture, at in pictures:
        dealt[next(split for split, end in SHARES if at < end or end == 1.0)].append(picture)
    if not dealt["train"]:
        dealt["train"], dealt["validation"] = dealt["validation"], []
    if not dealt["train"]:
        dealt["train"], dealt["test"] = dealt["test"], []
    if not dealt["validation"]:
        dealt["validation"] = dealt["train"]
    return {split: own for split, own in dealt.items() if own}


def split_people(
    people: Sequence[Sequence[A]], splits: Collection[Split] = SPLITS
) -> dict[Split, list[Sequence[A]]]:
    """Of ``splits``, every fourth photo or clip goes to the test with all people (lists of actors) who come
    from it; of the other people every sixth to validation, the rest to the training."""
    in_order = dict.fromkeys(actor.source_id for person in people for actor in person)
    sources = {source: n for n, source in enumerate(in_order)}
    dealt: dict[Split, list[Sequence[A]]] = {split: [] for split in SPLITS}
    others = 0
    for person in people:
        split: Split = "test"
        if "test" not in splits or all(sources[a.source_id] % 4 != 1 for a in person):
            split = "validation" if "validation" in splits and others % 6 == 2 else "train"
            others += 1
        dealt[split].append(person)
    return dealt


def casts_of(
    subjects: Mapping[str, Mapping[Split, Sequence[A]]],
    strangers: Mapping[Split, Sequence[A]],
    lookalikes: Mapping[Split, Sequence[A]],
) -> dict[Split, Cast[A]]:
    """Casts of the splits in which every subject has pictures."""
    return {
        split: Cast(
            {name: own[split] for name, own in subjects.items()},
            strangers.get(split, ()),
            lookalikes.get(split, ()),
        )
        for split in SPLITS
        if all(own.get(split) for own in subjects.values())
    }
