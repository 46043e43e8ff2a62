"""The sum that is minimised."""

from collections.abc import Callable

import torch

from pvchat.losses import AnswerCrossEntropy, HeadActivation, LoadBalance, Objective, RoutingSparsity
from pvchat.routing import Routing

MakeRouting = Callable[..., Routing]


def batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return torch.randn(4, 7, requires_grad=True), torch.tensor([1, 2, 3, 4]), torch.tensor([True, False] * 2)


def test_total_is_the_sum_of_the_parts(make_routing: MakeRouting) -> None:
    parts = {
        "language_modeling": AnswerCrossEntropy(first_token_weight=4.0),
        "smooth_proximity": RoutingSparsity(initial=0.1),
        "head_activation": HeadActivation(),
        "load_balance": LoadBalance(),
    }
    routings = {"a": make_routing(mean=-1.0), "b": make_routing()}
    logits, labels, first = batch()
    out = Objective(**parts)(logits, labels, first, routings)  # type: ignore[arg-type]
    assert list(out.parts) == list(parts)
    expected = {k: loss(routings) for k, loss in parts.items() if k != "language_modeling"}
    expected["language_modeling"] = parts["language_modeling"](logits, labels, first)
    for name, value in out.parts.items():
        assert value.item() == expected[name].item() > 0, name
        assert not value.requires_grad
    torch.testing.assert_close(out.total, torch.stack(list(expected.values())).sum())
    leaves = [logits, *(r.logits for r in routings.values())]
    ours = torch.autograd.grad(out.total, leaves, retain_graph=True)
    theirs = torch.autograd.grad(sum(expected.values()), leaves)
    for got, want in zip(ours, theirs, strict=True):
        assert got.any()
        torch.testing.assert_close(got, want)


def test_empty_slots_are_off(make_routing: MakeRouting) -> None:
    out = Objective(language_modeling=AnswerCrossEntropy())(*batch(), {"a": make_routing()})
    assert list(out.parts) == ["language_modeling"]
    assert torch.equal(out.total.detach(), out.parts["language_modeling"])


def test_dense_models_pay_for_language_only() -> None:
    objective = Objective(
        language_modeling=AnswerCrossEntropy(),
        smooth_proximity=RoutingSparsity(),
        head_activation=HeadActivation(),
        load_balance=LoadBalance(),
    )
    out = objective(*batch(), {})
    assert torch.equal(out.total.detach(), out.parts["language_modeling"])


def test_lambda_is_in_the_state_and_evaluation_leaves_it(make_routing: MakeRouting) -> None:
    objective = Objective(language_modeling=AnswerCrossEntropy(), smooth_proximity=RoutingSparsity()).eval()
    before = {k: v.clone() for k, v in objective.state_dict().items()}
    for _ in range(2):
        objective(*batch(), {"a": make_routing()})
    assert list(before) == ["smooth_proximity.weight"]
    assert torch.equal(objective.state_dict()["smooth_proximity.weight"], before["smooth_proximity.weight"])
