"""Every number of a set of answers with its interval: over subjects, or over clips where there is one."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from pvchat.evaluation import Prediction
from pvchat.metrics.functional.text import BLEUStatistics, bleu_score, bleu_statistics
from pvchat.statistics import Interval, bootstrap_interval

Unit = Literal["subjects", "clips"]
Numbers = Callable[[Sequence[Prediction]], Mapping[str, float]]
"""Answers under one control -> its metrics, as ``evaluation.summarise`` names them."""
Array = npt.NDArray[np.float64]
NUM_RESAMPLES, NUM_SCORE_RESAMPLES = 1_000, 200  # the scores are ranked anew in each
COUNTS = ("questions", "unparsed", "majority", "uniform")
SIDES = {"presence_accuracy_yes": True, "presence_accuracy_no": False}
BALANCED = "presence_balanced_accuracy"


@dataclass(frozen=True)
class Estimate:
    """A number; ``low`` and ``high``, the ends of its 95 % interval over ``num_units`` of ``unit``, are None
    where there is none: counts, and what too few units have."""

    value: float
    low: float | None = None
    high: float | None = None
    unit: Unit | None = None
    num_units: int = 0

    @property
    def cell(self) -> float | Interval:
        """For a table."""
        if self.low is None or self.high is None:
            return self.value
        return Interval(self.value, self.low, self.high, 0.95, self.num_units)


def people_of(prediction: Prediction) -> tuple[str, ...]:
    """Whose question it is: of all it asks about; if it names nobody, of who is on screen, else of all."""
    shown = tuple(name for name, there in prediction.presence.items() if there)
    return prediction.subjects or shown or tuple(prediction.presence)


def by_subject(predictions: Iterable[Prediction]) -> dict[str, list[Prediction]]:
    """Subject -> the questions about them; one about two persons is a question of both."""
    found: dict[str, list[Prediction]] = {}
    for p in predictions:
        for name in people_of(p):
            found.setdefault(name, []).append(p)
    return found


def by_clip(predictions: Iterable[Prediction]) -> dict[str, list[Prediction]]:
    found: dict[str, list[Prediction]] = {}
    for p in predictions:
        found.setdefault(p.clip_id, []).append(p)
    return found


def estimate(predictions: Sequence[Prediction], numbers: Numbers) -> dict[str, Estimate]:
    """Metric -> estimate of answers under one control. With two subjects or more the value is the mean over
    subjects, and they are drawn with replacement; with one, the value is that of all answers and its clips
    are drawn."""
    people = by_subject(predictions)
    return (
        _over_subjects(people, predictions, numbers) if len(people) > 1 else _over_clips(predictions, numbers)
    )


def _over_subjects(
    people: Mapping[str, Sequence[Prediction]], predictions: Sequence[Prediction], numbers: Numbers
) -> dict[str, Estimate]:
    each = [numbers(asked) for asked in people.values()]
    found = {}
    for name, value in numbers(predictions).items():
        values = [one[name] for one in each if name in one]
        if name.endswith(COUNTS) or len(values) < 2:
            found[name] = Estimate(value)
        else:
            interval = bootstrap_interval(values)
            found[name] = Estimate(interval.mean, interval.low, interval.high, "subjects", len(values))
    return found


def _over_clips(predictions: Sequence[Prediction], numbers: Numbers) -> dict[str, Estimate]:
    clips = list(by_clip(predictions).values())
    pooled = numbers(predictions)
    found = {name: Estimate(value) for name, value in pooled.items()}
    if len(clips) < 2:
        return found
    draws = np.random.default_rng(0).integers(0, len(clips), (NUM_RESAMPLES, len(clips)))
    times = np.stack([np.bincount(draw, minlength=len(clips)) for draw in draws]).astype(np.float64)
    resamples = _shares(clips, pooled, numbers, times) | _scores(clips, numbers, draws[:NUM_SCORE_RESAMPLES])
    for name, values in resamples.items():
        if name in pooled and not name.endswith(COUNTS) and np.isfinite(values).any():
            low, high = np.nanquantile(values, [0.025, 0.975]).tolist()
            found[name] = Estimate(pooled[name], low, high, "clips", len(clips))
    return found


def _shares(
    clips: Sequence[Sequence[Prediction]], pooled: Mapping[str, float], numbers: Numbers, times: Array
) -> dict[str, Array]:
    """(resamples,) of what adds up over questions: shares, the mean of two of them, and counts of BLEU.
    What does not add up to the number of all answers is none of these, and left out."""
    sums: dict[str, Array] = {}  # (clips, 2): right, and out of
    counts: dict[str, Array] = {}  # (clips, counts of BLEU)
    for row, clip in enumerate(clips):
        for p in clip:
            for name, value in numbers([p]).items():
                if name.startswith("bleu"):
                    part = _counts(p, order=int(name[4]))
                    counts.setdefault(name, np.zeros((len(clips), len(part))))[row] += part
                else:
                    out_of = _weight(p, name)
                    sums.setdefault(name, np.zeros((len(clips), 2)))[row] += (value * out_of, out_of)
    found: dict[str, Array] = {}
    with np.errstate(invalid="ignore", divide="ignore"):
        for name, pair in sums.items():
            right, out_of = pair.sum(0)
            if out_of and abs(right / out_of - pooled.get(name, np.inf)) < 1e-9:
                drawn = times @ pair
                found[name] = drawn[:, 0] / drawn[:, 1]
    for name, table in counts.items():
        found[name] = np.array([_bleu(row) for row in (times @ table).round().astype(int).tolist()])
    if set(SIDES) <= set(found):
        found[BALANCED] = np.mean([found[side] for side in SIDES], axis=0)
    return found


def _scores(
    clips: Sequence[Sequence[Prediction]], numbers: Numbers, draws: npt.NDArray[np.int64]
) -> dict[str, Array]:
    """(resamples,) of what is made of presence scores alone."""
    bare = [[replace(p, answer=None) for p in clip if p.polarity is not None] for clip in clips]
    if all(name.endswith(COUNTS) for name in numbers([p for clip in bare for p in clip])):
        return {}
    found: dict[str, list[float]] = {}
    for draw in draws:
        for name, value in numbers([p for clip in draw for p in bare[clip]]).items():
            found.setdefault(name, []).append(value)
    return {name: np.array(values) for name, values in found.items()}


def _weight(p: Prediction, name: str) -> int:
    """How many (answer, person) pairs a number of one question is of; 1 where persons do not count."""
    if name == "presence_accuracy":
        return len(p.subjects)
    side = SIDES.get(name, False if name == "presence_accuracy_no_beside_another" else None)
    return 1 if side is None else sum(p.presence[who] is side for who in p.subjects)


def _counts(p: Prediction, order: int) -> Array:
    part = bleu_statistics([p.answer or ""], [p.reference], max_order=order)
    return np.array([*part.matches, *part.totals, part.preds_length, part.target_length], dtype=np.float64)


def _bleu(row: Sequence[int]) -> float:
    order = (len(row) - 2) // 2
    if not row[-1]:
        return float("nan")
    return bleu_score(BLEUStatistics(tuple(row[:order]), tuple(row[order:-2]), row[-2], row[-1]))
