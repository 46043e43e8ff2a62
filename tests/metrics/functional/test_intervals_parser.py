"""Answers -> intervals, and their overlap against fine sampling."""

import math
import random

import pytest

from pvchat.errors import UserError
from pvchat.metrics.functional.intervals import interval_iou, merge, parse_intervals

Intervals = list[tuple[float, float]]


@pytest.mark.parametrize(
    ("answer", "intervals"),
    [
        ("<tom> appears from 2.0 s to 3.5 s.", [(2, 3.5)]),
        ("From 2 to 3.5 seconds.", [(2, 3.5)]),
        ("<tom> is on screen between 2 s and 3.5 s.", [(2, 3.5)]),
        ("2-3.5 s", [(2, 3.5)]),
        ("2.0s – 3.5s", [(2, 3.5)]),  # noqa: RUF001
        ("[2.0, 3.5]", [(2, 3.5)]),
        ("He is there from 0:02 to 0:03.5.", [(2, 3.5)]),
        ("1:02:03 to 1:02:05", [(3723, 3725)]),
        ("from 2 to 3.5", [(2, 3.5)]),
        ("From 2 s until 3.5 s in the video.", [(2, 3.5)]),
        ("from 5 s to 6 s and from 2 s to 3 s", [(2, 3), (5, 6)]),
        ("From 2 to 3 s, then from 5 to 6 s.", [(2, 3), (5, 6)]),
        ("between 2 and 3 s and between 5 and 6 s", [(2, 3), (5, 6)]),
        ("[2, 3], [5, 6]", [(2, 3), (5, 6)]),
        ("from 2 s to 4 s and from 3 s to 6 s", [(2, 6)]),
        ("From the start to 3 s.", [(0, 3)]),
        ("From 3 s to the end.", [(3, 8)]),
        ("From 7 s to 30 s.", [(7, 8)]),
        ("From the beginning to the end.", [(0, 8)]),
        ("<tom> is there throughout the video.", [(0, 8)]),
        ("The whole time.", [(0, 8)]),
        ("<tom> does not appear in this video.", []),
        ("<tom> never appears.", []),
        ("No.", []),
        ("There is no sign of <tom>.", []),
        ("At no point.", []),
    ],
)
def test_what_is_told(answer: str, intervals: Intervals) -> None:
    assert parse_intervals(answer, clip_seconds=8) == intervals


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "Yes, <tom> is here.",
        "At 3 s.",
        "<tom> appears at 3 s and from 5 s to 6 s.",
        "From 6 s to 5 s.",
        "2-3 people are dancing.",
        "From 2 to 3 people are dancing.",
        "He is 30 and from 2 s to 3 s.",
        "Not from 2 s to 3 s.",
        "<tom> is not there from 2 s to 3 s.",
        "From 2 s to 3 s or from 5 s to 6 s.",
        "Maybe from 2 s to 3 s.",
        "Always except from 2 s to 3 s.",
        "2 s and 3 s",
        "Von 2 bis 3.",
        "From two to three seconds.",
        "<tom> is there throughout, from 2 s to 3 s.",
        "9" * 10_000,
    ],
)
def test_what_is_not_guessed(answer: str) -> None:
    assert parse_intervals(answer, clip_seconds=8) is None


@pytest.mark.parametrize("answer", ["From 3 s to the end.", "Throughout the video."])
def test_the_end_needs_a_length(answer: str) -> None:
    assert parse_intervals(answer) is None
    assert parse_intervals(answer, clip_seconds=5) is not None


def sampled_iou(preds: Intervals, target: Intervals) -> float:
    """The share of fine samples of time that both have, among those that one has."""
    times = [(n + 0.5) / 1000 for n in range(10_000)]
    inside = [[any(a <= t < b for a, b in some) for t in times] for some in (preds, target)]
    either = sum(p or t for p, t in zip(*inside, strict=True))
    return sum(p and t for p, t in zip(*inside, strict=True)) / either if either else 1.0


def test_iou_is_that_of_samples() -> None:
    draw = random.Random(0)

    def some() -> Intervals:
        pairs = [sorted(draw.sample(range(10_000), 2)) for _ in range(draw.randrange(4))]
        return [(a / 1000, b / 1000) for a, b in pairs]

    for _ in range(40):
        preds, target = some(), some()
        assert interval_iou(preds, target) == pytest.approx(sampled_iou(preds, target), abs=1e-9)


def test_empty_intervals() -> None:
    assert interval_iou([], []) == 1
    assert interval_iou([], [(1, 2)]) == interval_iou([(1, 2)], []) == 0
    assert interval_iou([(3, 3)], []) == 1  # nothing lasts no time


def test_merge() -> None:
    assert merge([(2, 3), (0, 1), (1, 1.5), (2.5, 2.7)]) == [(0, 1.5), (2, 3)]


@pytest.mark.parametrize("interval", [(2, 1), (-1, 1), (0, math.inf), (math.nan, 1)])
def test_impossible_intervals(interval: tuple[float, float]) -> None:
    with pytest.raises(UserError, match=r"an interval must have 0 <= start <= end: got \("):
        merge([interval])
