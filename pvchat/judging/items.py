"""What is rated, and what a rating is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Item:
    """An answer to be rated. ``answer`` is None where none was written; ``subjects`` are asked about, and
    ``presence`` says who is on screen."""

    id: str
    question: str
    reference: str
    answer: str | None
    subjects: tuple[str, ...]
    presence: Mapping[str, bool]


@dataclass(frozen=True)
class Rating:
    """``score`` of the item ``id``, None where it is unscored; the ``reason`` says why in either case.
    A judge's reason is written by a model: whoever shows it escapes it."""

    id: str
    score: float | None
    reason: str


def unscored(ratings: Sequence[Rating]) -> dict[str, list[str]]:
    """Reason -> ids of the items without a score, for a report."""
    found: dict[str, list[str]] = {}
    for rating in ratings:
        if rating.score is None:
            found.setdefault(rating.reason, []).append(rating.id)
    return found
