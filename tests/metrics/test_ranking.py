"""PresenceRanking: the functional numbers, over batches and processes."""

import pytest
import torch
from sklearn.metrics import roc_auc_score

from pvchat.metrics.ranking import PresenceRanking

SCORES = torch.tensor([-2.0, 0.5, 0.5, 3.0, -1.0, 0.0, 1.0], dtype=torch.float64)
TARGET = torch.tensor([0, 1, 0, 1, 1, 0, 1]).bool()


def test_batches_add_up() -> None:
    metric = PresenceRanking(threshold=0.25)
    for part in (slice(0, 3), slice(3, 4), slice(4, 7)):
        metric.update(SCORES[part], TARGET[part])
    numbers = metric.compute()
    assert list(numbers) == ["auc", "fpr95", "balanced_accuracy", "balanced_accuracy_calibrated"]
    assert numbers["auc"].item() == pytest.approx(roc_auc_score(TARGET, SCORES))
    assert numbers["fpr95"].item() == pytest.approx(2 / 3)  # all four are found above -1, and 0.5 and 0
    assert numbers["balanced_accuracy"].item() == pytest.approx((3 / 4 + 2 / 3) / 2)  # a score of 0 is a "no"
    assert numbers["balanced_accuracy_calibrated"].item() == pytest.approx((3 / 4 + 2 / 3) / 2)


def test_two_processes_equal_one() -> None:
    whole, left, right = (PresenceRanking() for _ in range(3))
    whole.update(SCORES, TARGET)
    left.update(SCORES[:3], TARGET[:3])
    right.update(SCORES[3:], TARGET[3:])
    left.merge_state(right)
    assert left.compute() == whole.compute()


def test_without_threshold_nothing_is_called_calibrated() -> None:
    metric = PresenceRanking()
    metric.update(SCORES, TARGET)
    assert list(metric.compute()) == ["auc", "fpr95", "balanced_accuracy"]


@pytest.mark.parametrize("scores", [[], [1.0, 2.0]])
def test_one_kind_of_clips_gives_nan(scores: list[float]) -> None:
    metric = PresenceRanking(threshold=0.0)
    metric.update(scores, [True] * len(scores))
    assert all(number.isnan() for number in metric.compute().values())


def test_reset_forgets() -> None:
    metric = PresenceRanking()
    metric.update([0.0, 1.0], [True, False])
    metric.reset()
    metric.update(SCORES, TARGET)
    assert metric.compute()["auc"].item() == pytest.approx(roc_auc_score(TARGET, SCORES))
