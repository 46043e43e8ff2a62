"""Who is filmed in which split: nobody's pictures, and no stranger, on both sides of a test."""

from collections.abc import Collection, Mapping, Sequence
from typing import TypeVar

from pvchat.datamodules.manifest import Split
from pvchat.synthesis.pipeline.takes import SPLITS, A, Actor, Cast

T = TypeVar("T")
TRAIN_UNTIL, VALIDATION_UNTIL = 0.5, 0.65
"""Parts of a recording, or of a list of photos: training, validation, test, as shares of its length."""


def split_at(position: float) -> Split:
    """Where a picture goes that lies at ``position`` (0..1)."""
    return "train" if position < TRAIN_UNTIL else "validation" if position < VALIDATION_UNTIL else "test"


def split_own(pictures: Sequence[tuple[T, float]]) -> dict[Split, list[T]]:
    """Pictures of a subject by where they lie in their recording or list (0..1). A split that would
    have none is left out, but for validation, which then has those of the training."""
    dealt: dict[Split, list[T]] = {split: [] for split in SPLITS}
    for picture, at in pictures:
        dealt[split_at(at)].append(picture)
    if not dealt["train"]:
        dealt["train"], dealt["validation"] = dealt["validation"], []
    if not dealt["train"]:
        dealt["train"], dealt["test"] = dealt["test"], []
    if not dealt["validation"]:
        dealt["validation"] = dealt["train"]
    return {split: own for split, own in dealt.items() if own}


def split_people(people: Sequence[Sequence[Actor]], splits: Collection[Split] = SPLITS) -> dict[str, Split]:
    """The split of each person, by name (``people``: actors of each). Of ``splits``, every fourth photo or
    clip goes to the test with all who come from it; of the others every sixth to validation, the rest to
    training."""
    in_order = dict.fromkeys(actor.source_id for person in people for actor in person)
    tested = {source for n, source in enumerate(in_order) if n % 4 == 1 and "test" in splits}
    dealt: dict[str, Split] = {}
    others = 0
    for person in people:
        if any(actor.source_id in tested for actor in person):
            dealt[person[0].person] = "test"
        else:
            dealt[person[0].person] = "validation" if "validation" in splits and others % 6 == 2 else "train"
            others += 1
    return dealt


def casts_of(
    subjects: Mapping[str, Mapping[Split, Sequence[A]]],
    strangers: Sequence[Sequence[A]],
    lookalikes: Sequence[Sequence[A]],
    splits: Collection[Split] = SPLITS,
) -> dict[Split, Cast[A]]:
    """Casts of the splits in which every subject has pictures. ``subjects``: pictures by name and split;
    other people: actors of each, dealt by ``split_people`` to ``splits``."""
    dealt = split_people([*strangers, *lookalikes], splits)

    def those(people: Sequence[Sequence[A]], split: Split) -> list[A]:
        return [actor for person in people if dealt[person[0].person] == split for actor in person]

    return {
        split: Cast(
            {name: own[split] for name, own in subjects.items()},
            those(strangers, split),
            those(lookalikes, split),
        )
        for split in SPLITS
        if all(own.get(split) for own in subjects.values())
    }
