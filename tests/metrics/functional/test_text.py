"""Corpus BLEU, against sacrebleu called directly."""

import pytest
import sacrebleu
from sacrebleu.metrics.bleu import BLEU

from pvchat.errors import UserError
from pvchat.metrics.functional.text import bleu_score, bleu_signature, bleu_statistics, corpus_bleu

PREDS = [
    "<tom> is wearing a red jacket and blue jeans.",
    "He walks along the beach, holding a cup of coffee.",
    "<tom> is on the left side of the room",
    "Yes.",
]
TARGET = [
    "<tom> is wearing a red coat and blue jeans.",
    "<tom> walks slowly along the beach with a cup of coffee in his hand.",
    "<tom> is on the right side of the room, next to the window.",
    "Yes, <tom> is here.",
]
SECOND = ["A red jacket and jeans.", "He walks along the beach.", "On the left side.", "Yes."]


def _reference_bleu(preds: list[str], streams: list[list[str]], max_order: int) -> float:
    return float(BLEU(max_ngram_order=max_order).corpus_score(preds, streams).score) / 100


@pytest.mark.parametrize("max_order", [1, 2, 3, 4])
@pytest.mark.parametrize("n", [1, 2, 4])
def test_equals_sacrebleu(n: int, max_order: int) -> None:
    ours = corpus_bleu(PREDS[:n], TARGET[:n], max_order=max_order)
    assert ours == _reference_bleu(PREDS[:n], [TARGET[:n]], max_order)
    assert 0 < ours < 1
    if max_order == 4:
        assert ours == sacrebleu.corpus_bleu(PREDS[:n], [TARGET[:n]]).score / 100


@pytest.mark.parametrize("max_order", [1, 4])
def test_several_references(max_order: int) -> None:
    pairs = [[a, b] for a, b in zip(TARGET, SECOND, strict=True)]
    assert corpus_bleu(PREDS, pairs, max_order=max_order) == _reference_bleu(
        PREDS, [TARGET, SECOND], max_order
    )


@pytest.mark.parametrize("max_order", [1, 4])
def test_counts_of_parts_add_up(max_order: int) -> None:
    whole = bleu_statistics(PREDS, TARGET, max_order=max_order)
    parts = [bleu_statistics([p], [t], max_order=max_order) for p, t in zip(PREDS, TARGET, strict=True)]
    assert whole.totals == tuple(map(sum, zip(*(p.totals for p in parts), strict=True)))
    assert whole.matches == tuple(map(sum, zip(*(p.matches for p in parts), strict=True)))
    assert whole.target_length == sum(p.target_length for p in parts)
    assert bleu_score(whole) == corpus_bleu(PREDS, TARGET, max_order=max_order)


def test_perfect_empty_and_short_answers() -> None:
    assert corpus_bleu(TARGET, TARGET) == pytest.approx(1.0)
    assert corpus_bleu([""], ["Yes, <tom> is here."], max_order=1) == 0.0
    assert corpus_bleu(["yes"], ["yes"], max_order=1) == pytest.approx(1.0)
    assert corpus_bleu(["yes"], ["yes"], max_order=4) == 0.0  # too short for a 4-gram; documented


def test_signature_says_how() -> None:
    assert bleu_signature(max_order=1).startswith("nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:")
    assert bleu_signature(max_order=1).endswith("|order:1")
    assert "nrefs:2|" in bleu_signature(max_order=4, num_references=2)


@pytest.mark.parametrize(
    ("preds", "target", "message"),
    [
        ("yes", ["yes"], "got a single string"),
        (["yes"], "yes", "got a single string"),
        (["a", "b"], [["a", "b"]], "got 2 preds and 1 targets"),  # sacrebleu's own layout
        ([], [], "got 0 preds and 0 targets"),
        (["a", "b"], [["a", "b"], ["c"]], r"as many references, at least one: got \[1, 2\]"),
        (["a"], [[]], r"at least one: got \[0\]"),
        (["a"], [None], "must be strings: got None"),
        ([None], ["a"], "must be strings: got None"),
        (["a"], [[["a"]]], r"must be strings: got \['a'\]"),
    ],
)
def test_wrong_shapes_are_refused(preds: list[str], target: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        corpus_bleu(preds, target)


@pytest.mark.parametrize("max_order", [0, 5])
def test_wrong_order_is_refused(max_order: int) -> None:
    with pytest.raises(UserError, match=f"1, 2, 3 or 4: got {max_order}"):
        corpus_bleu(PREDS, TARGET, max_order=max_order)
