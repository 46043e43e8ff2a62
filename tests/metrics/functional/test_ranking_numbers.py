"""AUC, FPR at a TPR, balanced accuracy and the calibrated threshold, against scikit-learn."""

import itertools

import pytest
import torch
from sklearn.metrics import balanced_accuracy_score, roc_auc_score, roc_curve

from pvchat.errors import UserError
from pvchat.metrics.functional.ranking import (
    balanced_accuracy,
    calibrate_threshold,
    false_positive_rate,
    roc_auc,
)


def _reference_auc(scores: list[float], target: list[bool]) -> float:
    return float(roc_auc_score(target, scores))


def _reference_balanced(scores: list[float], target: list[bool], threshold: float) -> float:
    return float(balanced_accuracy_score(target, [s > threshold for s in scores]))


def _reference_false_positives(scores: list[float], target: list[bool], recall: float) -> float:
    wrong, found, _ = roc_curve(target, scores, drop_intermediate=False)
    return float(min(w for w, f in zip(wrong, found, strict=True) if f >= recall - 1e-12))


def draw(n: int, seed: int, levels: int | None) -> tuple[list[float], list[bool]]:
    """Scores with some truth in them; with ``levels`` few distinct values, so many ties."""
    generator = torch.Generator().manual_seed(seed)
    target = torch.rand(n, generator=generator) < 0.4
    target[:2] = torch.tensor([True, False])
    scores = torch.randn(n, generator=generator, dtype=torch.float64) + target
    if levels:
        scores = (scores * levels).round() / levels
    return scores.tolist(), target.tolist()


@pytest.mark.parametrize("levels", [None, 4, 1])
@pytest.mark.parametrize("n", [2, 3, 17, 400])
@pytest.mark.parametrize("seed", range(5))
def test_equals_sklearn(n: int, seed: int, levels: int | None) -> None:
    scores, target = draw(n, seed, levels)
    assert roc_auc(scores, target) == pytest.approx(_reference_auc(scores, target), abs=1e-12)
    for threshold in (-0.5, 0.0, 1.0):
        ours = balanced_accuracy(scores, target, threshold=threshold)
        assert ours == pytest.approx(_reference_balanced(scores, target, threshold), abs=1e-12)


@pytest.mark.parametrize("levels", [None, 4, 1])
@pytest.mark.parametrize("n", [2, 3, 17, 400, 1000])
@pytest.mark.parametrize("recall", [0.05, 0.5, 0.95, 1.0])
def test_false_positives_equal_sklearn(n: int, recall: float, levels: int | None) -> None:
    for seed in range(5):
        scores, target = draw(n, seed, levels)
        expected = _reference_false_positives(scores, target, recall)
        assert false_positive_rate(scores, target, recall=recall) == pytest.approx(expected, abs=1e-12)


def test_95_percent_of_20_are_19() -> None:
    """The worst of 20 may be missed, the second worst may not; a tie with it is a false positive."""
    yes = [-9.0, 1.0, *[5.0] * 18]
    assert false_positive_rate([*yes, 1.0, 0.5, -8.0], [True] * 20 + [False] * 3) == pytest.approx(1 / 3)
    with pytest.raises(UserError, match=r"recall must be in \(0, 1\]: got 95"):
        false_positive_rate(yes, [True] * 20, recall=95)


def test_ties_count_half() -> None:
    assert roc_auc([1.0, 1.0], [True, False]) == 0.5
    assert roc_auc([1.0, 1.0, 0.0], [True, False, False]) == 0.75


def test_tensors_and_lists_are_alike() -> None:
    scores, target = draw(30, 0, None)
    tensors = torch.tensor(scores, dtype=torch.float32, requires_grad=True), torch.tensor(target)
    assert roc_auc(*tensors) == pytest.approx(roc_auc(scores, target))


@pytest.mark.parametrize("levels", [None, 3])
@pytest.mark.parametrize("seed", range(20))
def test_no_threshold_beats_the_calibrated_one(seed: int, levels: int | None) -> None:
    scores, target = draw(25, seed, levels)
    best = _reference_balanced(scores, target, calibrate_threshold(scores, target))
    edges = sorted({*scores, min(scores) - 1})
    everywhere = edges + [(a + b) / 2 for a, b in itertools.pairwise(edges)]
    assert best == pytest.approx(max(_reference_balanced(scores, target, t) for t in everywhere), abs=1e-12)


@pytest.mark.parametrize(
    ("scores", "target", "expected"),
    [
        ([0.0, 1.0, 4.0, 5.0], [0, 0, 1, 1], 2.5),  # middle of the gap
        ([-9.0, -7.0], [0, 1], -8.0),  # however far from 0
        ([0.0, 1.0, 2.0, 5.0], [0, 1, 0, 1], 3.5),  # equally good: 0.5 and 3.5; the wider gap
        ([-3.0, -2.0, 0.5, 1.5], [0, 1, 0, 1], 1.0),  # equally good and wide: -2.5 and 1.0; nearer to 0
        ([2.0, 2.0, 2.0], [0, 1, 1], 2.0),  # no gap
        ([5.0, 1.0], [0, 1], 5.0),  # wrong order: everything is "no"
        ([1.0, 1.0, 2.0], [0, 1, 1], 1.5),
    ],
)
def test_threshold_by_hand(scores: list[float], target: list[int], expected: float) -> None:
    assert calibrate_threshold(scores, [bool(t) for t in target]) == expected


def test_a_shifted_score_is_rescued_by_calibration() -> None:
    scores, target = [-5.0, -4.0, -2.0, -1.0], [False, False, True, True]
    assert balanced_accuracy(scores, target) == 0.5
    assert balanced_accuracy(scores, target, threshold=calibrate_threshold(scores, target)) == 1.0


@pytest.mark.parametrize("function", [roc_auc, false_positive_rate, balanced_accuracy, calibrate_threshold])
@pytest.mark.parametrize(
    ("scores", "target", "message"),
    [
        ([1.0, 2.0], [True, True], "with and without the person: got 2 with and 0 without"),
        ([1.0, 2.0], [False, False], "got 0 with and 2 without"),
        ([], [], "got 0 with and 0 without"),
        ([1.0], [True, False], r"same length: got shapes \(1,\) and \(2,\)"),
        ([[1.0], [2.0]], [[True], [False]], "two lists of the same length"),
        ([1.0, float("nan")], [True, False], "finite: got 1 nan or inf"),
        ([1.0, float("inf")], [True, False], "finite: got 1 nan or inf"),
    ],
)
def test_errors(function: object, scores: list[float], target: list[bool], message: str) -> None:
    with pytest.raises(UserError, match=message):
        function(scores, target)  # type: ignore[operator]
