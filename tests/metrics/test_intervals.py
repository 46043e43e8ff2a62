"""IntervalIoU over batches and processes."""

import pytest
import torch

from pvchat.errors import UserError
from pvchat.metrics.intervals import IntervalIoU

PREDS = ["from 0 s to 2 s", "<tom> never appears.", "Who knows?", "from 1 s to 2 s", "throughout the video"]
TARGET = [[(1.0, 3.0)], [], [(0.0, 4.0)], [], [(0.0, 2.0), (3.0, 5.0)]]
LENGTHS = [5.0] * 5


def test_numbers() -> None:
    metric = IntervalIoU()
    metric.update(PREDS, TARGET, LENGTHS)
    assert {name: value.item() for name, value in metric.compute().items()} == {
        "iou": pytest.approx((1 / 3 + 1 + 0 + 0 + 4 / 5) / 5),
        "recall_at_0.3": pytest.approx(3 / 5),
        "recall_at_0.5": pytest.approx(2 / 5),
        "recall_at_0.7": pytest.approx(2 / 5),
        "seconds_iou": pytest.approx((1 + 0 + 0 + 0 + 4) / (3 + 0 + 4 + 1 + 5)),
        "never_accuracy": pytest.approx(1 / 2),
        "majority": pytest.approx((2 / 5 + 0 + 4 / 5 + 0 + 4 / 5) / 5),
        "answers": 5,
        "unparsed": 1,
    }


def test_unparsed_is_never_right() -> None:
    metric = IntervalIoU()
    metric.update(["Who knows?"], [[]])
    numbers = metric.compute()
    assert numbers["iou"] == numbers["never_accuracy"] == 0
    assert numbers["unparsed"] == 1


def test_intervals_instead_of_answers() -> None:
    metric = IntervalIoU()
    metric.update([[(0, 2)], []], [[(1, 3)], [(0, 1)]])
    assert metric.compute()["iou"].item() == pytest.approx(1 / 6)
    assert metric.compute()["majority"].isnan()  # how long is "throughout"?


def test_never_is_the_better_constant() -> None:
    metric = IntervalIoU()
    metric.update(PREDS[:3], [[], [], [(0.0, 1.0)]], [4.0] * 3)
    assert metric.compute()["majority"].item() == pytest.approx(2 / 3)


def test_two_processes_equal_one() -> None:
    whole, left, right = (IntervalIoU() for _ in range(3))
    whole.update(PREDS, TARGET, LENGTHS)
    left.update(PREDS[:2], TARGET[:2], LENGTHS[:2])
    right.update(PREDS[2:], TARGET[2:], LENGTHS[2:])
    left.merge_state(right)
    torch.testing.assert_close(left.compute(), whole.compute(), rtol=1e-12, atol=0)


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_nothing_yet_and_reset() -> None:
    metric = IntervalIoU()
    metric.update(PREDS, TARGET, LENGTHS)
    metric.reset()
    numbers = metric.compute()
    assert numbers.pop("answers") == numbers.pop("unparsed") == 0
    assert all(value.isnan() for value in numbers.values())


@pytest.mark.parametrize(
    ("preds", "lengths"), [(["a"], None), (["a", "b"], [1.0]), ("from 1 s to 2 s", None)]
)
def test_unequal_lists(preds: list[str], lengths: list[float] | None) -> None:
    with pytest.raises(UserError, match=r"each answer needs its true intervals"):
        IntervalIoU().update(preds, [[], []], lengths)
