"""CorpusBLEU: one number over all batches and processes."""

import pytest
from sacrebleu.metrics.bleu import BLEU

from pvchat.errors import UserError
from pvchat.metrics.bleu import CorpusBLEU

PREDS = ["<tom> wears a red coat.", "He sits at a table with <ann>.", "Yes, she is."]
TARGET = ["<tom> wears a blue coat.", "<tom> sits at the table with <ann> today.", "Yes, <ann> is."]


@pytest.mark.parametrize("max_order", [1, 4])
def test_batches_make_one_corpus(max_order: int) -> None:
    metric = CorpusBLEU(max_order=max_order)
    metric.update(PREDS[:1], TARGET[:1])
    metric.update(PREDS[1:], TARGET[1:])
    reference = BLEU(max_ngram_order=max_order).corpus_score(PREDS, [TARGET]).score / 100
    assert metric.compute().item() == pytest.approx(reference, abs=1e-12)


@pytest.mark.parametrize("max_order", [1, 4])
def test_two_processes_equal_one(max_order: int) -> None:
    whole, left, right = (CorpusBLEU(max_order=max_order) for _ in range(3))
    whole.update(PREDS, TARGET)
    left.update(PREDS[:2], TARGET[:2])
    right.update(PREDS[2:], TARGET[2:])
    left.merge_state(right)
    assert left.compute() == whole.compute()


def test_nothing_seen_is_nan_and_reset_forgets() -> None:
    metric = CorpusBLEU(max_order=1)
    metric.update(["x y"], ["a b"])
    assert metric.compute() == 0
    metric.reset()
    assert metric.compute().isnan()


def test_signature_and_order() -> None:
    assert CorpusBLEU(max_order=1).signature.endswith("|order:1")
    with pytest.raises(UserError, match="got 7"):
        CorpusBLEU(max_order=7)
