"""Accumulated batches are one large batch: exactly for what is a mean over questions, nearly for the rest."""

from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from tiny import fit, make_data, make_module, make_plan, state

from pvchat.losses import AnswerCrossEntropy, Objective, PresenceLoss, RoutingSparsity


class Gradients(L.Callback):
    """What the optimizer was given in every step."""

    def __init__(self) -> None:
        self.steps: list[dict[str, torch.Tensor]] = []

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        grads = {n: p.grad.clone() for n, p in pl_module.named_parameters() if p.grad is not None}
        self.steps.append(grads)


def presence_only() -> Objective:
    """Every question asks about one person, so its mean is one over questions."""
    objective = Objective(language_modeling=AnswerCrossEntropy(), presence=PresenceLoss())
    objective.language_modeling.forward = lambda logits, *_: logits.sum() * 0  # type: ignore[method-assign]
    return objective


def run(corpus: Path, objective: Objective, size: int, many: int) -> tuple[list[Any], dict[str, Any]]:
    module, seen = make_module(objective=objective), Gradients()
    data = make_data(corpus, module, stages=make_plan(1, 1), batch_size=size)
    fit(module, data, seen, accumulate_grad_batches=many, gradient_clip_val=None, limit_val_batches=0)
    return seen.steps, state(module)


def distance(ours: dict[str, Any], theirs: dict[str, Any]) -> float:
    """Of gradients, relative to their length."""
    assert ours.keys() == theirs.keys()
    apart = sum(float((ours[n] - theirs[n]).square().sum()) for n in ours)
    return float((apart / sum(float(g.square().sum()) for g in theirs.values())) ** 0.5)


def test_accumulated_is_the_large_batch(tiny_corpus: Path) -> None:
    """Over both stages. 15 questions are steps of 6, 6 and 3, or batches of 3 twice, twice and once; of 10
    in fours twice are 8, and 2 are left over: of the last group a batch is missing, and one is smaller."""
    for size, many in ((3, 2), (4, 2), (2, 4)):
        large, weights = run(tiny_corpus, presence_only(), size * many, 1)
        small, same = run(tiny_corpus, presence_only(), size, many)
        assert len(small) == len(large) > 2
        assert max(map(distance, small, large)) < 1e-4
        assert max(float((weights[n] - same[n]).abs().max()) for n in weights) < 1e-3


def test_answers_of_other_lengths_and_routing_losses_are_nearly_the_large_batch(tiny_corpus: Path) -> None:
    """The loss of answers is a mean over words and batches differ in words; SPR and HAE are of the rate in a
    batch. Gradients of the first step, before they have led apart."""
    objective = Objective(
        language_modeling=AnswerCrossEntropy(), smooth_proximity=RoutingSparsity(initial=1e-4)
    )
    large, _ = run(tiny_corpus, objective, 8, 1)
    small, _ = run(tiny_corpus, objective, 4, 2)
    assert 1e-4 < distance(small[0], large[0]) < 0.1


@pytest.mark.parametrize("limit", [3, 1.0])
def test_weights_of_a_step_are_one_on_average(tiny_corpus: Path, limit: float) -> None:
    """Also of the last step, whether the epoch or ``limit_train_batches`` ends it."""
    module, seen = make_module(), []
    data = make_data(tiny_corpus, module, stages=make_plan(1, 0), batch_size=3)

    class Weigh(L.Callback):
        def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
            seen.append((len(batch), pl_module._weight(batch_idx)))

    fit(module, data, Weigh(), accumulate_grad_batches=2, limit_train_batches=limit, limit_val_batches=0)
    for first in range(0, len(seen), 2):
        group = seen[first : first + 2]
        assert sum(weight for _, weight in group) == pytest.approx(2)
        assert len({weight / size for size, weight in group}) == 1
    assert len(seen) % 2 == 1
