"""SPR: value and gradient against loops; lambda is state that only ``update`` changes."""

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from pvchat.errors import UserError
from pvchat.losses import RoutingSparsity
from pvchat.routing import Routing

MakeRouting = Callable[..., Routing]


def expected_value_and_gradient(routing: Routing, *, load_balanced: bool) -> tuple[float, Tensor]:
    """lambda = 1. The gradient reaches logits in (0, 10); how often a head is used is a constant in it."""
    logits = routing.logits.tolist()
    counted = [
        (b, t)
        for b in range(len(logits))
        for t in range(len(logits[0]))
        if routing.mask is None or routing.mask[b, t]
    ]
    heads = len(logits[0][0])
    value, gradient = 0.0, torch.zeros_like(routing.logits)
    for h in range(heads):
        gates = [max(0.0, min(10.0, logits[b][t][h])) for b, t in counted]
        used = sum(g > 0 for g in gates) / len(counted)
        factor = used if load_balanced else 1 / heads
        value += factor * sum(gates) / len(counted)
        for b, t in counted:
            if 0 < logits[b][t][h] < 10:
                gradient[b, t, h] = factor / len(counted)
    return value, gradient


@pytest.mark.parametrize("load_balanced", [True, False])
@pytest.mark.parametrize("masked", [True, False])
def test_value_and_gradient(make_routing: MakeRouting, load_balanced: bool, masked: bool) -> None:
    routings = {
        "a": make_routing(mean=1.0, masked=masked),
        "b": make_routing(7 * torch.randn(2, 4, 4).requires_grad_()),
    }
    loss = RoutingSparsity(load_balanced=load_balanced, initial=0.3)(routings)
    expected = [expected_value_and_gradient(r, load_balanced=load_balanced) for r in routings.values()]
    assert loss.item() == pytest.approx(0.3 * sum(v for v, _ in expected) / 2, rel=2e-6)
    gradients = torch.autograd.grad(loss, [r.logits for r in routings.values()])
    for gradient, (_, want) in zip(gradients, expected, strict=True):
        assert want.any()
        torch.testing.assert_close(gradient, 0.3 * want / 2, rtol=2e-6, atol=2e-6)


def test_one_lambda_per_module(make_routing: MakeRouting) -> None:
    routings = {"a": make_routing(mean=1.0), "b": make_routing(mean=-1.0)}
    spr = RoutingSparsity(initial=1.0, num_modules=2)
    spr.update(torch.stack([r.sparsity for r in routings.values()]))
    parts = [expected_value_and_gradient(r, load_balanced=True)[0] for r in routings.values()]
    factors = [math.exp(0.8 * (0.5 - r.sparsity.item())) for r in routings.values()]
    assert spr.weight.tolist() == pytest.approx(factors)
    assert factors[0] > 1 > factors[1]
    assert spr(routings).item() == pytest.approx((parts[0] * factors[0] + parts[1] * factors[1]) / 2)
    with pytest.raises(ValueError, match="lambda is set for 2 modules"):
        spr({"a": routings["a"]})


def test_dense_models_cost_nothing() -> None:
    assert RoutingSparsity()({}).item() == 0.0


@pytest.mark.parametrize("target", [0.25, 0.5])
def test_exponential_update(target: float) -> None:
    spr, value = RoutingSparsity(target=target, k=0.8, initial=1e-8), 1e-8
    for sparsity in torch.rand(50).tolist():
        spr.update(torch.tensor(sparsity))
        value = min(10.0, max(1e-15, value * math.exp(0.8 * (target - sparsity))))
        assert spr.weight.item() == pytest.approx(value, rel=1e-4)


def test_remoe_update_is_a_step_of_20_percent() -> None:
    spr, value = RoutingSparsity(update="remoe", initial=1e-4), 1e-4
    for sparsity in (0.1, 0.49, 0.5, 0.51, 0.9, 0.2):
        spr.update(torch.tensor(sparsity))
        value *= 1.2 if sparsity < 0.5 else 1 / 1.2 if sparsity > 0.5 else 1.0
        assert spr.weight.item() == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize("update", ["exp", "remoe"])
@pytest.mark.parametrize(("sparsity", "limit"), [(0.0, 10.0), (1.0, 1e-15)])
def test_lambda_is_clamped(update: Any, sparsity: float, limit: float) -> None:
    spr = RoutingSparsity(update=update)
    for _ in range(700):
        spr.update(torch.tensor(sparsity))
    assert spr.weight.item() == pytest.approx(limit)


def test_unclamped_growth_reaches_infinity_after_588_steps() -> None:
    """What the clamp is for: the public rule, re-created."""
    weight, steps = torch.tensor(1e-8), 0
    while weight.isfinite():
        weight, steps = weight * 1.2, steps + 1
    assert steps == 588
    spr = RoutingSparsity(update="remoe")
    for _ in range(steps):
        spr.update(torch.tensor(0.0))
    assert spr.weight.item() == 10.0


def test_a_global_lambda_follows_the_mean_of_the_modules() -> None:
    one, many = RoutingSparsity(), RoutingSparsity()
    one.update(torch.tensor(0.3))
    many.update(torch.tensor([0.1, 0.5]))
    assert torch.equal(one.weight, many.weight)


def test_evaluation_leaves_lambda_alone(make_routing: MakeRouting) -> None:
    spr = RoutingSparsity().eval()
    before = copy.deepcopy(spr.state_dict())
    for _ in range(2):
        spr({"a": make_routing()})
    assert list(spr.state_dict()) == ["weight"]
    assert torch.equal(spr.state_dict()["weight"], before["weight"])


def test_lambda_is_saved_and_continued() -> None:
    spr, resumed = RoutingSparsity(), RoutingSparsity()
    for _ in range(5):
        spr.update(torch.tensor(0.1))
    resumed.load_state_dict(spr.state_dict())
    for each in (spr, resumed):
        each.update(torch.tensor(0.4))
    assert torch.equal(spr.weight, resumed.weight)
    assert resumed.weight.item() == pytest.approx(1e-8 * math.exp(0.8 * (5 * 0.4 + 0.1)), rel=1e-5)
    assert not list(spr.parameters())


def test_lambda_stays_fp32_when_the_model_is_cast() -> None:
    spr = torch.nn.Sequential(RoutingSparsity()).to(torch.bfloat16)[0]
    assert spr.weight.dtype == torch.float32
    before = spr.weight.item()
    spr.update(torch.tensor(0.4999))
    assert spr.weight.item() > before


def test_lambda_drives_a_router_to_its_target(make_routing: MakeRouting) -> None:
    logits = (2 + torch.randn(4, 8, 4)).requires_grad_()
    spr, optimizer = RoutingSparsity(target=0.5, initial=1e-4), torch.optim.SGD([logits], lr=50.0)
    for _ in range(150):
        routing = make_routing(logits, masked=False)
        optimizer.zero_grad()
        spr({"a": routing}).backward()
        optimizer.step()
        spr.update(routing.sparsity.detach())
    assert make_routing(logits).sparsity.item() > 0.4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": 1.0}, r"target sparsity must be in \[0, 1\): got 1.0"),
        ({"initial": 0.0}, r"initial lambda must be in \[1e-15, 10.0\]: got 0.0"),
    ],
)
def test_bad_options_are_explained(options: dict[str, float], message: str) -> None:
    with pytest.raises(UserError, match=message):
        RoutingSparsity(**options)  # type: ignore[arg-type]
