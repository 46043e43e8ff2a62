"""HAE: the value counts heads, the gradient reaches dead ones, and a dead router wakes up."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from pvchat.errors import UserError
from pvchat.losses import HeadActivation, RoutingSparsity
from pvchat.modules.attention import ReMoHAttention
from pvchat.routing import Routing

MakeRouting = Callable[..., Routing]


def counted_tokens(routing: Routing) -> list[tuple[int, int]]:
    batch, length, _ = routing.logits.shape
    return [(b, t) for b in range(batch) for t in range(length) if routing.mask is None or routing.mask[b, t]]


def expected_value_and_gradient(routing: Routing, target: float) -> tuple[float, Tensor]:
    logits, counted = routing.logits.tolist(), counted_tokens(routing)
    heads = len(logits[0][0])
    pairs = len(counted) * heads
    sparsity = 1 - sum(z > 0 for b, t in counted for z in logits[b][t]) / pairs
    gradient = torch.zeros_like(routing.logits)
    if sparsity <= target:
        return 0.0, gradient
    slope = 2 * math.exp(2 * (sparsity - target))
    for b, t in counted:
        for h in range(heads):
            gradient[b, t, h] = -slope / pairs / (2 * (1 + abs(logits[b][t][h])) ** 2)
    return math.exp(2 * (sparsity - target)) - 1, gradient


@pytest.mark.parametrize("masked", [True, False])
def test_value_and_gradient(make_routing: MakeRouting, masked: bool) -> None:
    means = (-1.0, 3.0, -20.0)  # too sparse, active enough, dead
    routings = {str(m): make_routing(mean=m, masked=masked) for m in means}
    loss = HeadActivation(target=0.5, weight=0.5)(routings)
    expected = [expected_value_and_gradient(r, 0.5) for r in routings.values()]
    assert [v > 0 for v, _ in expected] == [True, False, True]
    assert loss.item() == pytest.approx(0.5 * sum(v for v, _ in expected) / 3, rel=2e-6)
    gradients = torch.autograd.grad(loss, [r.logits for r in routings.values()])
    for gradient, (_, want) in zip(gradients, expected, strict=True):
        torch.testing.assert_close(gradient, 0.5 * want / 3, rtol=2e-6, atol=2e-9)


def released_form(routing: Routing, target: float = 0.5) -> Tensor:
    """The authors' public code, re-created: sparsity from a count of booleans."""
    sparsity = 1 - (routing.scores > 0).float().mean()
    return torch.exp(2 * (sparsity - target)) - 1 if sparsity > target else routing.scores.new_zeros(())


@pytest.mark.parametrize("logit", [-0.5, -3.0, -50.0, -1e4])
def test_dead_heads_feel_it_however_dead_they_are(make_routing: MakeRouting, logit: float) -> None:
    routing = make_routing(torch.full((2, 3, 4), logit, requires_grad=True), masked=False)
    assert not routing.routing_map.any()
    loss = HeadActivation(weight=1.0)({"a": routing})
    assert loss.item() == pytest.approx(math.e - 1)
    (gradient,) = torch.autograd.grad(loss, routing.logits)
    assert (gradient < 0).all()
    released = released_form(routing)
    assert released.item() == pytest.approx(loss.item())
    assert not released.requires_grad


def test_masked_tokens_feel_nothing(make_routing: MakeRouting) -> None:
    routing = make_routing(mean=-5.0)
    HeadActivation()({"a": routing}).backward()
    assert routing.mask is not None
    gradient = routing.logits.grad
    assert gradient is not None
    assert not gradient[~routing.mask].any()
    assert gradient[routing.mask].all()


def sparsity_after_training(loss: Callable[[Routing], Tensor], *, steps: int) -> tuple[float, float]:
    """Sparsity of a router that starts dead, before and after."""
    attention = ReMoHAttention(24, 24, num_heads=6, num_shared_heads=2, init="released")
    nn.init.constant_(attention.router.routed.bias, -5.0)
    x = torch.randn(4, 6, 24)
    optimizer = torch.optim.AdamW(attention.router.parameters(), lr=1e-2, weight_decay=0.0)
    before = attention(x).routing.sparsity.item()
    for _ in range(steps):
        value = loss(attention(x).routing)
        optimizer.zero_grad()
        if value.requires_grad:
            value.backward()
        optimizer.step()
    return before, attention(x).routing.sparsity.item()


def test_a_dead_router_wakes_up() -> None:
    hae, spr = HeadActivation(), RoutingSparsity(initial=1e-2)
    before, after = sparsity_after_training(lambda r: hae({"a": r}) + spr({"a": r}), steps=300)
    assert before == 1.0
    assert after < 0.6


def test_with_the_released_form_it_sleeps_for_good() -> None:
    spr = RoutingSparsity(initial=1e-2)
    assert sparsity_after_training(lambda r: released_form(r) + spr({"a": r}), steps=30) == (1.0, 1.0)


def test_dense_models_cost_nothing() -> None:
    assert HeadActivation()({}).item() == 0.0


def test_bad_target_is_explained() -> None:
    with pytest.raises(UserError, match=r"target sparsity must be in \[0, 1\): got -0.1"):
        HeadActivation(target=-0.1)
