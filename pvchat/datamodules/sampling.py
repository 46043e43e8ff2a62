"""Which questions an epoch asks, in which order: a pure function of the examples, the seed and the epoch."""

import random
from collections.abc import Callable, Collection, Sequence

from pvchat.batch import Example, QuestionType
from pvchat.errors import UserError


def epoch_order(
    examples: Sequence[Example],
    *,
    types: Collection[QuestionType],
    seed: int,
    epoch: int,
    existence_fraction: float = 0.5,
    questions_per_clip: int | None = None,
) -> list[int]:
    """Indices into ``examples``, spread so that every stretch of the epoch has the same mixture.

    Existence questions with yes and with no are equally many: the rarer side is asked repeatedly. Other
    questions are asked at most once and are at most ``1 - existence_fraction`` of the epoch.
    ``questions_per_clip`` bounds how many of a clip's existence questions, and of its other questions, one
    epoch asks; other epochs draw others. Raises UserError when there is nothing to ask."""
    if not 0 <= existence_fraction <= 1:
        raise UserError(f"existence_fraction must be in [0, 1]: got {existence_fraction}.")
    rng = random.Random(f"{seed}/{epoch}")  # seeded by text: the same on every machine and in every process

    def group(chosen: Callable[[Example], bool]) -> list[int]:
        clips: dict[str, list[int]] = {}
        for i, example in enumerate(examples):
            if example.type in types and chosen(example):
                clips.setdefault(example.clip_id, []).append(i)
        return _clip_by_clip([rng.sample(questions, len(questions)) for questions in clips.values()], rng)

    def bounded(indices: list[int]) -> int:
        per_clip: dict[str, int] = {}
        for i in indices:
            per_clip[examples[i].clip_id] = per_clip.get(examples[i].clip_id, 0) + 1
        return sum(min(n, questions_per_clip or n) for n in per_clip.values())

    yes = group(lambda e: e.polarity == "yes")
    no = group(lambda e: e.polarity == "no")
    other = group(lambda e: e.polarity is None)
    each = max(bounded(yes), bounded(no)) if existence_fraction > 0 or not other else 0
    existence = [_repeat(yes, each), _repeat(no, each)]
    asked = sum(map(len, existence))
    room = round(asked * (1 - existence_fraction) / existence_fraction) if asked else len(other)
    order = _spread([*existence, other[: min(bounded(other), room)]], rng)
    if not order:
        raise UserError(f"no training question is of type {sorted(types)}.")
    return order


def _clip_by_clip(clips: list[list[int]], rng: random.Random) -> list[int]:
    """One question of every clip, then a second one of every clip that has two, and so on."""
    rounds: list[int] = []
    for n in range(max(map(len, clips), default=0)):
        this = [questions[n] for questions in clips if n < len(questions)]
        rounds += rng.sample(this, len(this))
    return rounds


def _repeat(indices: list[int], count: int) -> list[int]:
    return [indices[i % len(indices)] for i in range(count)] if indices else []


def _spread(groups: Sequence[list[int]], rng: random.Random) -> list[int]:
    """Interleave groups of any size evenly, with a random phase at each place."""
    placed = [((n + rng.random()) / len(group), i) for group in groups for n, i in enumerate(group)]
    return [i for _, i in sorted(placed)]
