"""Numbers before and after by hand, and intervals over clips."""

from typing import Any

import numpy as np
import pytest

from pvchat.metrics.functional.text import corpus_bleu
from pvchat.retention.before_and_after import Pair
from pvchat.retention.changes import changes, is_same
from pvchat.statistics import Interval

WORDS: Any = {"appearance": {"red": ("red",), "blue": ("blue",)}}


def pair(before: str, after: str, *truth: str, unit: str = "a", **more: Any) -> Pair:
    defaults: dict[str, Any] = {"log_likelihood": (-1.0, -2.0), "kl": 0.5, "named": (False, False)}
    return Pair(unit, "?", truth, before, after, **(defaults | more))


def both(found: Any) -> tuple[float, float]:
    return found.before, found.after


def test_numbers_by_hand() -> None:
    pairs = [
        pair("Red.", "red", "red", unit="a"),
        pair("It is blue.", "It is red.", "blue", unit="b"),
        pair("12", "It is twelve!", "12", "twelve", unit="c", named=(False, True)),
        pair("112", "I am unsure", "12", unit="d", kl=1.5),
    ]
    found = changes(pairs, WORDS)
    assert both(found["exact"]) == (2 / 4, 1 / 4)
    assert both(found["contains"]) == (3 / 4, 2 / 4)
    assert both(found["named"]) == (1, 1 / 2)
    assert both(found["log_likelihood"]) == (-1, -2)
    assert both(found["same"]) == (1, 0)
    assert both(found["kl"]) == (0, 3 / 4)
    assert both(found["names_a_subject"]) == (0, 1 / 4)
    assert "former_log_likelihood" not in found


def test_bleu_is_that_of_the_whole_corpus() -> None:
    pairs = [
        pair("the cat sat", "the dog", "the cat sat down", unit="a"),
        pair("a red shirt and more words", "a red shirt", "a red shirt", unit="b"),
    ]
    truth = [p.truth[0] for p in pairs]
    found = changes(pairs)["bleu1"]
    assert found.before == pytest.approx(corpus_bleu([p.before for p in pairs], truth, max_order=1))
    assert found.after == pytest.approx(corpus_bleu([p.after for p in pairs], truth, max_order=1))


def test_without_truth_only_drift_is_measured() -> None:
    found = changes([pair("Red.", "red. ", unit="a"), pair("Red.", "Blue.", unit="b")])
    assert set(found) == {"former_log_likelihood", "same", "kl", "names_a_subject"}
    assert found["same"].after == 1 / 2


def test_the_interval_is_that_of_a_bootstrap_over_clips() -> None:
    """Twelve clips of ten questions each, of which every other clip has forgotten all."""
    pairs = [
        pair("4", "4" if clip % 2 else "5", "4", unit=str(clip)) for clip in range(12) for _ in range(10)
    ]
    found = changes(pairs)["exact"].difference
    assert isinstance(found, Interval)
    drawn = np.random.default_rng(7).choice([0.0, -1.0], (20_000, 12)).mean(1)
    assert (found.low, found.high) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.05)
    assert found.num_subjects == 12


def test_both_sides_are_drawn_together() -> None:
    """Clips differ, but each loses as much: that is certain."""
    pairs = [pair("4", "4", "4", unit=str(n), log_likelihood=(-float(n), -n - 1.0)) for n in range(9)]
    found = changes(pairs)["log_likelihood"].difference
    assert isinstance(found, Interval)
    assert (found.mean, found.low, found.high) == pytest.approx((-1, -1, -1))


def test_one_clip_has_no_interval() -> None:
    assert changes([pair("4", "5", "4")])["exact"].difference == -1


def test_the_same_but_for_case_and_spaces() -> None:
    assert is_same("It  is Red.", "it is red.")
    assert not is_same("red", "red.")
