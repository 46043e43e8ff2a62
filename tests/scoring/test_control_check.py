"""Controls that leak are called out, those at chance are not, and few clips are no evidence."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from pvchat.evaluation import Prediction
from pvchat.scoring.control_check import Check, check_controls


def clips(count: int, score: Callable[[int, bool], float], *, who: str = "tom") -> list[Prediction]:
    """``count`` clips with and as many without, each asked three times."""
    return [
        Prediction(
            id=f"{who}{n}{there}#{k}",
            clip_id=f"{who}{n}{there}",
            control="text_only",
            type="existence",
            origin="real",
            subjects=(who,),
            polarity="yes" if there else "no",
            presence={who: there},
            question="",
            reference="",
            answer=None,
            score=score(n, there),
        )
        for n in range(count)
        for there in (True, False)
        for k in range(3)
    ]


def text_only(predictions: list[Prediction]) -> Check:
    return check_controls(predictions, threshold=0.0, scored=frozenset(["text_only"]))[0]


def test_a_leak_is_called_out() -> None:
    check = text_only(clips(10, lambda n, there: 1.0 if there else -1.0))
    assert check.verdict == "leaves chance"
    assert check.sentence.startswith("WARNING: text_only leaves chance (balanced accuracy 1.00 [0.")
    assert check.sentence.endswith("the questions alone tell the answer.")


def test_the_order_alone_gives_a_leak_away() -> None:
    """All scores are above the threshold: accuracy is at chance, the AUC is not."""
    check = text_only(clips(12, lambda n, there: 5.0 + 0.1 * there))
    assert check.looks["balanced accuracy"].mean == 0.5
    assert check.verdict == "leaves chance"


def test_chance_is_left_alone() -> None:
    assert text_only(clips(12, lambda n, there: 0.5)).verdict == "at chance"


def test_false_alarms_are_as_rare_as_said() -> None:
    """Scores of a clip know nothing; its three questions agree, and must not count as three."""
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(200):
        drawn = rng.normal(size=(12, 2))
        alarms += (
            text_only(clips(12, lambda n, there, d=drawn: float(d[n, there]))).verdict == "leaves chance"
        )  # type: ignore[misc]
    assert 0 < alarms <= 18


def test_few_clips_are_no_evidence() -> None:
    assert text_only(clips(3, lambda n, there: 0.5)).verdict == "too few clips to tell"
    assert text_only([]).verdict == "not asked"
    assert "it is not known whether" in text_only([]).sentence


def test_two_subjects_that_agree_by_chance_are_no_leak() -> None:
    """Over two subjects the bootstrap has next to no width: the clips must say so, too."""
    slightly = [
        p for who in ("tom", "ann") for p in clips(6, lambda n, there: float(there and n == 0), who=who)
    ]
    check = text_only(slightly)
    assert check.unit == "subjects"
    assert check.looks["AUC"].low > 0.5
    assert check.verdict == "at chance"


def test_eight_subjects_speak_for_themselves() -> None:
    people = [p for k in range(8) for p in clips(2, lambda n, there: float(there and n == 0), who=f"p{k}")]
    assert text_only(people).verdict == "leaves chance"


def test_written_answers_are_read_where_there_is_no_score() -> None:
    told = [
        replace(p, answer="Yes." if p.polarity == "yes" else "No.", score=0.0)
        for p in clips(10, lambda n, there: 0.0)
    ]
    check = check_controls(told, threshold=0.0, scored=frozenset())[0]
    assert list(check.looks) == ["balanced accuracy"]
    assert check.verdict == "leaves chance"
    assert check.looks["balanced accuracy"].level == pytest.approx(0.95)
