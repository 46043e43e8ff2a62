"""PresenceCalibration: the functional numbers, over batches and processes."""

import pytest
import torch
from sklearn.metrics import brier_score_loss

from pvchat.errors import UserError
from pvchat.metrics.calibration import PresenceCalibration
from pvchat.metrics.functional.calibration import expected_calibration_error, reliability_bins

SCORES = torch.tensor([-2.0, 0.5, 0.5, 3.0, -1.0, 0.0, 1.0], dtype=torch.float64)
TARGET = torch.tensor([0, 1, 0, 1, 1, 0, 1]).bool()


def test_batches_add_up() -> None:
    metric = PresenceCalibration(num_bins=5, threshold=0.25, temperature=2.0)
    for part in (slice(0, 3), slice(3, 3), slice(3, 4), slice(4, 7)):
        metric.update(SCORES[part], TARGET[part])
    shift = {"threshold": 0.25, "temperature": 2.0}
    bins = reliability_bins(SCORES, TARGET, num_bins=5, **shift)
    brier = brier_score_loss(TARGET, ((SCORES - 0.25) / 2).sigmoid())
    numbers = {name: value.item() for name, value in metric.compute().items()}
    assert numbers == pytest.approx({"ece": expected_calibration_error(bins), "brier": brier}, abs=1e-12)
    for ours, whole in zip(metric.bins(), bins, strict=True):
        torch.testing.assert_close(ours, whole)


def test_two_processes_equal_one() -> None:
    whole, left, right = (PresenceCalibration() for _ in range(3))
    whole.update(SCORES, TARGET)
    left.update(SCORES[:3], TARGET[:3])
    right.update(SCORES[3:], TARGET[3:])
    left.merge_state(right)
    for name, value in whole.compute().items():
        torch.testing.assert_close(left.compute()[name], value)


def test_nothing_seen_is_nan_and_reset_forgets() -> None:
    metric = PresenceCalibration()
    metric.update([9.0], [False])
    metric.reset()
    assert all(number.isnan() for number in metric.compute().values())


def test_what_makes_no_sense_is_refused_at_once() -> None:
    with pytest.raises(UserError, match="temperature must be > 0: got -1"):
        PresenceCalibration(temperature=-1)
    with pytest.raises(UserError, match="num_bins must be >= 1: got 0"):
        PresenceCalibration(num_bins=0)
