"""Cross-entropy of answers against logarithms written out."""

import pytest
import torch

from pvchat.errors import UserError
from pvchat.losses import AnswerCrossEntropy


@pytest.mark.parametrize("first_token_weight", [1.0, 4.0, 0.5])
def test_value_and_gradient(first_token_weight: float) -> None:
    logits = (3 * torch.randn(7, 11)).requires_grad_()
    labels = torch.tensor([3, 0, -100, 10, 5, -100, 2])
    first = torch.tensor([True, False, True, True, False, False, False])
    loss = AnswerCrossEntropy(first_token_weight=first_token_weight)(logits, labels, first)

    exact = logits.detach().double().requires_grad_()
    weights = {i: first_token_weight if first[i] else 1.0 for i in range(7) if labels[i] != -100}
    expected = sum(
        w * (torch.log(torch.exp(exact[i]).sum()) - exact[i, labels[i]]) for i, w in weights.items()
    ) / sum(weights.values())
    assert loss.item() == pytest.approx(expected.item(), rel=2e-6)
    (ours,), (theirs,) = torch.autograd.grad(loss, logits), torch.autograd.grad(expected, exact)
    torch.testing.assert_close(ours, theirs.float(), rtol=2e-6, atol=2e-7)
    assert not ours[labels == -100].any()


def test_weight_one_is_plain_cross_entropy() -> None:
    logits, labels = torch.randn(6, 5), torch.tensor([0, 1, 2, -100, 4, 0])
    expected = torch.nn.functional.cross_entropy(logits, labels)
    ours = AnswerCrossEntropy()(logits, labels, torch.ones(6, dtype=torch.bool))
    torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize("rows", [0, 3])
def test_nothing_supervised_is_zero_with_a_gradient(rows: int) -> None:
    logits = torch.randn(rows, 5, requires_grad=True)
    loss = AnswerCrossEntropy()(logits, torch.full((rows,), -100), torch.zeros(rows, dtype=torch.bool))
    loss.backward()
    assert loss.item() == 0.0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_half_precision_logits_are_summed_in_fp32() -> None:
    logits, labels, first = torch.randn(4, 9).bfloat16(), torch.arange(4), torch.zeros(4, dtype=torch.bool)
    loss = AnswerCrossEntropy()(logits, labels, first)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(AnswerCrossEntropy()(logits.float(), labels, first).item())


def test_bad_weight_is_explained() -> None:
    with pytest.raises(UserError, match=r"first_token_weight must be > 0: got 0"):
        AnswerCrossEntropy(first_token_weight=0)
