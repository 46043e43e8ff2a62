"""MoH's balance loss against loops, value and gradient."""

import pytest
import torch

from pvchat.losses import LoadBalance
from pvchat.routing import Routing

EXPERTS, TOP_K = 4, 2


def routing(logits: torch.Tensor, mask: torch.Tensor | None) -> Routing:
    scores = logits.softmax(-1)
    chosen = torch.zeros_like(scores, dtype=torch.bool).scatter(-1, scores.topk(TOP_K).indices, True)
    return Routing(scores, logits, chosen, scores, mask)


@pytest.mark.parametrize("masked", [True, False])
def test_value_and_gradient(masked: bool) -> None:
    logits = [torch.randn(2, 5, EXPERTS, requires_grad=True) for _ in range(3)]
    masks = [torch.rand(2, 5) > 0.3 if masked else None for _ in logits]
    pairs = zip(logits, masks, strict=True)
    loss = LoadBalance(weight=0.01)({str(i): routing(z, m) for i, (z, m) in enumerate(pairs)})

    expected = torch.zeros((), dtype=torch.float64)
    exact = [z.detach().double().requires_grad_() for z in logits]
    for z, mask in zip(exact, masks, strict=True):
        tokens = [z[b, t] for b in range(2) for t in range(5) if mask is None or mask[b, t]]
        for i in range(EXPERTS):
            share = sum(sorted(row.tolist(), reverse=True).index(row[i].item()) < TOP_K for row in tokens)
            probability = sum(torch.exp(row[i]) / torch.exp(row).sum() for row in tokens)
            expected = expected + EXPERTS * probability * share / len(tokens) ** 2 / 3
    assert loss.item() == pytest.approx(0.01 * expected.item(), rel=2e-6)
    ours = torch.autograd.grad(loss, logits)
    theirs = torch.autograd.grad(0.01 * expected, exact)
    for got, want in zip(ours, theirs, strict=True):
        assert got.any()
        torch.testing.assert_close(got, want.float(), rtol=2e-6, atol=2e-8)


def test_even_use_costs_least() -> None:
    even = routing(torch.eye(EXPERTS)[None].mul(5.0) + torch.eye(EXPERTS).roll(1, 1)[None].mul(4.0), None)
    uneven = routing(torch.tensor([5.0, 4.0, 0.0, 0.0]).expand(1, EXPERTS, -1), None)
    loss = LoadBalance(weight=1.0)
    assert loss({"a": even}).item() == pytest.approx(TOP_K)
    assert loss({"a": uneven}).item() > 1.8 * TOP_K


def test_dense_models_cost_nothing() -> None:
    assert LoadBalance()({}).item() == 0.0
