"""NamingAccuracy: which value an answer names, by hand, and counted against scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.dummy import DummyClassifier
from sklearn.metrics import accuracy_score

from pvchat.errors import UserError
from pvchat.metrics.functional.naming import named, naming_counts
from pvchat.metrics.naming import NamingAccuracy

COLOURS = {"red": ("red",), "blue": ("blue",), "grey": ("grey", "gray"), "black": ("black",)}
PLACES = {"brick": ("brick",), "brick wall": ("brick wall",), "wall": ("wall",)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<tom> is wearing a red t-shirt.", {"red"}),
        ("In RED, I think", {"red"}),
        ("A gray hoodie", {"grey"}),
        ("bored and blackened", set()),
        ("a red-blue shirt", {"red", "blue"}),
        ("", set()),
    ],
)
def test_whole_words_whatever_the_wording(text: str, expected: set[str]) -> None:
    assert named(text, COLOURS) == expected


def test_of_overlapping_words_the_longest_counts() -> None:
    assert named("in front of a  brick wall", PLACES) == {"brick wall"}
    assert named("a wall beside a brick-wall", PLACES) == {"wall", "brick wall"}


def test_nothing_can_be_named_without_words() -> None:
    assert named("red", {}) == frozenset()
    assert "accuracy" in NamingAccuracy(vocabulary={}).compute()


ANSWERS = ["It is red.", "red and blue", "a blue coat", "a coat", "in black", "gray", "red"]
TRUTH = ["<tom> wears red.", "red", "blue", "red", "red", "<tom> is in grey.", "blue"]


def test_equals_sklearn() -> None:
    """Several values, or none, are a wrong answer; the constant answer is scikit-learn's dummy."""
    metric = NamingAccuracy(vocabulary=COLOURS)
    for start in (0, 4):  # batches add up
        metric.update(ANSWERS[start : start + 4], TRUTH[start : start + 4])
    truth = ["red", "red", "blue", "red", "red", "grey", "blue"]
    said = ["red", "-", "blue", "-", "black", "grey", "red"]
    column = np.zeros((len(truth), 1))
    dummy = DummyClassifier(strategy="most_frequent").fit(column, truth)
    assert {name: float(value) for name, value in metric.compute().items()} == pytest.approx(
        {
            "accuracy": accuracy_score(truth, said),
            "unparsed": 1,
            "questions": 7,
            "majority": dummy.score(column, truth),
            "uniform": 1 / 4,
        }
    )


def test_references_that_name_no_one_value_are_not_counted() -> None:
    counts = naming_counts(["red", "red", "red"], ["a coat", "red and blue", "red"], COLOURS)
    assert int(counts.right) == int(counts.total.sum()) == 1
    assert torch.isnan(NamingAccuracy(vocabulary=COLOURS).compute()["accuracy"])


def test_each_answer_needs_its_reference() -> None:
    with pytest.raises(UserError, match="got 1 preds, 2 target"):
        naming_counts(["red"], ["red", "blue"], COLOURS)
