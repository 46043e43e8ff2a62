"""Intervals over subjects and over clips, against the statistics of the house and a bootstrap in loops."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from pvchat.evaluation import Prediction, summarise
from pvchat.metrics.functional.text import corpus_bleu
from pvchat.scoring.estimates import NUM_RESAMPLES, NUM_SCORE_RESAMPLES, by_subject, estimate
from pvchat.statistics import bootstrap_interval


def numbers(some: Sequence[Prediction]) -> dict[str, float]:
    return {name.split("/")[1]: value for name, value in summarise(some, threshold=0.0).items()}


def said(clip: str, right: bool, *, there: bool = True, who: str = "tom", score: float = 0.0) -> Prediction:
    yes, no = f"Yes, <{who}> is here.", f"No, <{who}> is not here."
    return Prediction(
        id=f"{clip}#{score}{right}",
        clip_id=clip,
        control="main",
        type="existence",
        origin="real",
        subjects=(who,),
        polarity="yes" if there else "no",
        presence={who: there},
        question=f"Is <{who}> here?",
        reference=yes if there else no,
        answer=yes if right is there else no,
        score=score,
    )


CLIPS = [
    [said(f"clip{n}", bool(rights & 1 << k), there=n % 2 == 0, score=(n * 7 + k * 5) % 11) for k in range(3)]
    for n, rights in enumerate((7, 3, 1, 7, 5, 0))
]


def test_with_several_subjects_they_are_the_unit() -> None:
    """Ann has one question, tom four: each counts as one."""
    predictions = [
        said("c", False, who="ann"),
        *(said(f"c{n}", True, who="tom") for n in range(4)),
        said("d", True, who="bob"),
    ]
    found = estimate(predictions, numbers)["presence_accuracy"]
    reference = bootstrap_interval([0.0, 1.0, 1.0])
    assert found.value == pytest.approx(2 / 3)
    assert (found.low, found.high, found.unit, found.num_units) == (
        reference.low,
        reference.high,
        "subjects",
        3,
    )


def test_with_one_subject_clips_are_drawn() -> None:
    """Shares, their balance, BLEU and AUC, each against the metric itself on clips drawn in a loop."""
    every = [p for clip in CLIPS for p in clip]
    found = estimate(every, numbers)
    draws = np.random.default_rng(0).integers(0, len(CLIPS), (NUM_RESAMPLES, len(CLIPS)))
    drawn = [numbers([p for clip in draw for p in CLIPS[clip]]) for draw in draws[:NUM_SCORE_RESAMPLES]]
    low, high = np.quantile([n["presence_auc"] for n in drawn if "presence_auc" in n], [0.025, 0.975])
    assert (found["presence_auc"].low, found["presence_auc"].high) == pytest.approx((low, high))
    right = [np.mean([p.answer == p.reference for clip in draw for p in CLIPS[clip]]) for draw in draws]
    accuracy = found["presence_accuracy"]
    assert (accuracy.low, accuracy.high) == pytest.approx(tuple(np.quantile(right, [0.025, 0.975])))
    assert (accuracy.unit, accuracy.num_units) == ("clips", 6)
    bleus = [
        corpus_bleu([p.answer or "" for p in some], [p.reference for p in some], max_order=1)
        for draw in draws
        if (some := [p for clip in draw for p in CLIPS[clip]])
    ]
    bleu = found["bleu1"]
    assert (bleu.low, bleu.high) == pytest.approx(tuple(np.quantile(bleus, [0.025, 0.975])))
    balanced, sides = found["presence_balanced_accuracy"], numbers(every)
    assert balanced.value == sides["presence_balanced_accuracy"]
    assert balanced.low is not None
    assert balanced.low < balanced.value


def test_counts_and_single_clips_have_no_interval() -> None:
    found = estimate([p for clip in CLIPS for p in clip], numbers)
    assert found["existence_questions"].low is None
    alone = estimate(CLIPS[0], numbers)["presence_accuracy"]
    assert (alone.value, alone.low, alone.cell) == (1.0, None, 1.0)


def test_whose_question_it_is() -> None:
    """Of all it asks about; else of who is there; else of everybody."""

    def asked(subjects: tuple[str, ...], presence: dict[str, bool]) -> Prediction:
        changes: dict[str, Any] = {"subjects": subjects, "presence": presence}
        return Prediction(**{**CLIPS[0][0].as_json(), **changes})

    both = {"ann": True, "tom": False}
    assert set(by_subject([asked(("ann", "tom"), both)])) == {"ann", "tom"}
    assert set(by_subject([asked((), both)])) == {"ann"}
    assert set(by_subject([asked((), {"ann": False, "tom": False})])) == {"ann", "tom"}
