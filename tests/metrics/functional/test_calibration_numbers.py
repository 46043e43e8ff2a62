"""Reliability bins, ECE and Brier score, against scikit-learn, torchmetrics and loops."""

import math

import numpy as np
import pytest
import torch
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss
from torchmetrics.functional.classification import binary_calibration_error

from pvchat.errors import UserError
from pvchat.metrics.functional.calibration import (
    brier_score,
    expected_calibration_error,
    presence_probability,
    reliability_bins,
)


def draw(n: int, seed: int) -> tuple[list[float], list[bool]]:
    generator = np.random.default_rng(seed)
    target = generator.random(n) < 0.4
    scores = 2 * generator.normal(size=n) + 3 * target
    return scores.tolist(), target.tolist()


def _probabilities(scores: list[float], threshold: float, temperature: float) -> list[float]:
    return [1 / (1 + math.exp(-(s - threshold) / temperature)) for s in scores]


def _reference_ece(probabilities: list[float], target: list[bool], num_bins: int) -> float:
    """Guo et al. 2017, equation 3, of the probability of presence, in loops."""
    total = 0.0
    for i in range(num_bins):
        low, high = i / num_bins, (i + 1) / num_bins
        inside = [j for j, p in enumerate(probabilities) if low < p <= high or (i == 0 and p == 0)]
        if inside:
            confidence = sum(probabilities[j] for j in inside) / len(inside)
            share = sum(target[j] for j in inside) / len(inside)
            total += len(inside) / len(target) * abs(confidence - share)
    return total


@pytest.mark.parametrize(("threshold", "temperature"), [(0.0, 1.0), (1.5, 1.0), (-0.5, 3.0)])
@pytest.mark.parametrize("num_bins", [1, 4, 10])
@pytest.mark.parametrize("n", [1, 7, 300])
def test_equals_loops_and_sklearn_and_torchmetrics(
    n: int, num_bins: int, threshold: float, temperature: float
) -> None:
    scores, target = draw(n, seed=n)
    shift = {"threshold": threshold, "temperature": temperature}
    probabilities = _probabilities(scores, threshold, temperature)
    bins = reliability_bins(scores, target, num_bins=num_bins, **shift)
    ece = expected_calibration_error(bins)
    assert ece == pytest.approx(_reference_ece(probabilities, target, num_bins), abs=1e-12)
    theirs = binary_calibration_error(
        torch.tensor(probabilities), torch.tensor(target).long(), n_bins=num_bins, norm="l1"
    )
    assert ece == pytest.approx(theirs.item(), abs=1e-6)
    share, mean = calibration_curve(target, probabilities, n_bins=num_bins, strategy="uniform")
    filled = bins.total > 0
    np.testing.assert_allclose(bins.share_present[filled], share, atol=1e-12)
    np.testing.assert_allclose(bins.mean_probability[filled], mean, atol=1e-12)
    assert bins.total.sum() == n
    if len(set(target)) == 2:
        brier = brier_score_loss(target, probabilities)
        assert brier_score(scores, target, **shift) == pytest.approx(brier, abs=1e-12)


def test_an_edge_belongs_to_the_bin_below_it() -> None:
    """As in scikit-learn. A score of 0 is one half."""
    assert reliability_bins([0.0, 0.0, 9.0], [True, False, True], num_bins=2).total.tolist() == [2, 1]
    assert reliability_bins([-2000.0, 2000.0], [False, True]).total.tolist() == [1, *[0] * 8, 1]


def test_who_always_says_yes_for_sure_is_off_by_the_share_of_no() -> None:
    scores, target = [1000.0] * 8, [True] * 2 + [False] * 6
    assert expected_calibration_error(reliability_bins(scores, target)) == pytest.approx(0.75)
    assert brier_score(scores, target) == pytest.approx(0.75)
    assert brier_score([0.0] * 8, target) == 0.25


def test_a_threshold_that_was_shifted_is_repaired() -> None:
    """Scores right up to a constant: the shift is all that was wrong."""
    truth = torch.linspace(0.02, 0.98, 49, dtype=torch.float64)
    scores = truth.logit().repeat_interleave(50)
    target = (torch.arange(50) < (truth * 50)[:, None]).flatten()
    off, repaired = (
        expected_calibration_error(reliability_bins(scores + 2, target, threshold=t)) for t in (0.0, 2.0)
    )
    assert repaired < 0.02 < 0.2 < off


def test_nothing_seen_is_nan() -> None:
    assert math.isnan(expected_calibration_error(reliability_bins([], [])))
    assert math.isnan(brier_score([], []))


def test_errors() -> None:
    with pytest.raises(UserError, match="temperature must be > 0: got 0"):
        presence_probability([1.0], temperature=0)
    with pytest.raises(UserError, match="num_bins must be >= 1: got 0"):
        reliability_bins([1.0], [True], num_bins=0)
    for function in (reliability_bins, brier_score):
        with pytest.raises(UserError, match="finite: got 1 nan or inf"):
            function([math.nan], [True])
        with pytest.raises(UserError, match="same length"):
            function([1.0], [True, False])
