"""PresenceAccuracy: who is said to be there, counted, against scikit-learn."""

import pytest
import torch
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from pvchat.errors import UserError
from pvchat.metrics.functional.presence import parse_presence, presence_counts
from pvchat.metrics.presence import PresenceAccuracy

ANSWERS = [
    "Yes, <tom> is here.",
    "There is no sign of <tom>.",
    "Bananas.",
    "<tom> is visible.",
    "No.",
    "Yes.",
    "?",
]
TRUTH = [True, False, False, False, True, True, True]
NAMES = [["tom"]] * len(ANSWERS)


def _reference_numbers(answers: list[str], truth: list[bool]) -> dict[str, float]:
    """An unparsed answer is read as the wrong one."""
    said = [parse_presence(answer, ["tom"])["tom"] for answer in answers]
    read = [(not t) if s is None else s for s, t in zip(said, truth, strict=True)]
    sides = {v: [r == t for r, t in zip(read, truth, strict=True) if t is v] for v in (True, False)}
    return {
        "accuracy": float(accuracy_score(truth, read)),
        "balanced_accuracy": float(balanced_accuracy_score(truth, read)),
        "accuracy_yes": sum(sides[True]) / len(sides[True]),
        "accuracy_no": sum(sides[False]) / len(sides[False]),
        "unparsed": float(said.count(None)),
    }


def test_equals_sklearn() -> None:
    metric = PresenceAccuracy()
    metric.update(ANSWERS, TRUTH, NAMES)
    numbers = {name: value.item() for name, value in metric.compute().items()}
    assert numbers == pytest.approx(_reference_numbers(ANSWERS, TRUTH))
    assert numbers["unparsed"] == 2
    assert numbers["accuracy_yes"] == pytest.approx(2 / 4)
    assert numbers["accuracy_no"] == pytest.approx(1 / 3)


def test_batches_and_processes_add_up() -> None:
    whole, left, right = (PresenceAccuracy() for _ in range(3))
    whole.update(ANSWERS, TRUTH, NAMES)
    left.update(ANSWERS[:1], TRUTH[:1], NAMES[:1])
    left.update(ANSWERS[1:4], TRUTH[1:4], NAMES[1:4])
    right.update(ANSWERS[4:], TRUTH[4:], NAMES[4:])
    left.merge_state(right)
    assert left.compute() == whole.compute()


def test_every_person_counts() -> None:
    counts = presence_counts(
        ["<tom> is here, but <ann> is not.", "Both are here.", "<ann> may be here."],
        [{"tom": True, "ann": False}, {"tom": True, "ann": False, "bo": True}, True],
        [["tom", "ann"], ["tom", "ann"], ["ann"]],
    )
    assert counts.total.tolist() == [2, 3]
    assert counts.right.tolist() == [1, 2]
    assert counts.unparsed.tolist() == [0, 1]


def test_always_yes_is_at_chance() -> None:
    metric = PresenceAccuracy()
    metric.update(["Yes."] * 10, [True] * 9 + [False], [["tom"]] * 10)
    numbers = metric.compute()
    assert numbers["accuracy"].item() == pytest.approx(0.9)
    assert numbers["balanced_accuracy"].item() == 0.5


def test_nothing_and_one_side_give_nan() -> None:
    metric = PresenceAccuracy()
    metric.update([], [], [])
    assert metric.compute()["accuracy"].isnan()
    metric.update(["Yes."], [True], [["tom"]])
    numbers = metric.compute()
    assert numbers["accuracy"] == numbers["accuracy_yes"] == 1
    assert numbers["accuracy_no"].isnan()
    assert numbers["balanced_accuracy"].isnan()


def test_reset_forgets() -> None:
    metric = PresenceAccuracy()
    metric.update(["No."], [True], [["tom"]])
    metric.reset()
    metric.update(["Yes."], [True], [["tom"]])
    assert torch.equal(metric.compute()["accuracy"], torch.tensor(1.0, dtype=torch.float64))


@pytest.mark.parametrize(
    ("preds", "target", "names", "message"),
    [
        ("Yes.", [True], [["tom"]], "as lists"),
        (["Yes."], [True, False], [["tom"]], "got 1 preds, 2 target, 1 names"),
        (["Yes."], [True], ["tom"], r"got the string 'tom'. Write \['tom'\]"),
        (["Yes."], [{"ann": True}], [["tom"]], "'tom' is asked about, got {'ann': True}"),
        (["Yes."], [True], [[]], r"at least one: got \[\]"),
        (
            ["Yes."],
            [True],
            [["tom", "Tom"]],
            r"different persons asked about, at least one: got \['tom', 'Tom'\]",
        ),
    ],
)
def test_errors(preds: list[str], target: list[bool], names: list[list[str]], message: str) -> None:
    with pytest.raises(UserError, match=message):
        presence_counts(preds, target, names)
