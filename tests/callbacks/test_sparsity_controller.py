"""Lambda: one update per optimizer step, in training only, continued by resume."""

import math
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning as L
import pytest
import torch
from tiny import REMOH, fit, make_batch, make_data, make_module, make_plan, make_trainer

from pvchat.callbacks import SparsityController
from pvchat.losses import AnswerCrossEntropy, Objective, RoutingSparsity
from pvchat.training import PersonalizedVideoChat

START, K, TARGET = 1e-4, 0.8, 0.2


class ReleasedSparsity(RoutingSparsity):
    """As released: lambda is a Python number that every forward advances."""

    def __init__(self) -> None:
        super().__init__()
        self.released = START

    def forward(self, routings: Any) -> torch.Tensor:
        sparsity = torch.stack([r.sparsity for r in routings.values()]).mean().item()
        self.released *= math.exp(K * (TARGET - sparsity))
        return self.released * torch.stack([r.scores.mean() for r in routings.values()]).mean()

    def update(self, sparsity: torch.Tensor) -> None:
        pass

    @property
    def value(self) -> float:
        return self.released


class Watch(L.Callback):
    """Lambda and sparsity after every batch, and the number of optimizer steps."""

    def __init__(self) -> None:
        self.values: list[float] = []
        self.sparsities: list[float] = []
        self.steps: list[int] = []

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, i: int) -> None:
        self.values.append(value_of(pl_module))
        self.sparsities.append(float(outputs["sparsity"]))
        self.steps.append(trainer.global_step)


def value_of(module: PersonalizedVideoChat) -> float:
    proximity = module.objective.smooth_proximity
    assert proximity is not None
    return proximity.value if isinstance(proximity, ReleasedSparsity) else float(proximity.weight)


def with_lambda(released: bool = False) -> PersonalizedVideoChat:
    sparsity = ReleasedSparsity() if released else RoutingSparsity(initial=START, k=K, target=TARGET)
    return make_module(
        chat={"routed": partial(REMOH, init="released")},  # drawn routers: the sparsity varies
        objective=Objective(language_modeling=AnswerCrossEntropy(), smooth_proximity=sparsity),
        controls=("main", "text_only", "base_model"),
    )


@pytest.mark.parametrize("accumulate", [1, 2])
def test_one_update_per_optimizer_step(tiny_corpus: Path, accumulate: int) -> None:
    """Released bug 2. The update sees the mean over the accumulated batches; the last batch of
    an epoch steps whatever was gathered."""
    module, watch = with_lambda(), Watch()
    fit(module, make_data(tiny_corpus, module), watch, accumulate_grad_batches=accumulate)
    expected, gathered, before = START, [], 0
    for value, sparsity, step in zip(watch.values, watch.sparsities, watch.steps, strict=True):
        gathered.append(sparsity)
        if step > before:
            expected *= math.exp(K * (TARGET - sum(gathered) / len(gathered)))
            gathered, before = [], step
        assert value == pytest.approx(expected, rel=1e-5)
    assert gathered == []
    assert len({*watch.values, float(torch.tensor(START))}) - 1 == watch.steps[-1]
    assert watch.steps[-1] <= math.ceil(len(watch.values) / accumulate) + 1
    assert len(set(watch.sparsities)) > 1


def test_the_update_sees_every_accumulated_batch_and_every_process() -> None:
    """Batches of .1 and .5 here, a mean of .7 in the other process: the update sees .5."""
    module, controller, shared = with_lambda(), SparsityController(), []

    def reduce(value: torch.Tensor, reduce_op: str) -> torch.Tensor:
        shared.append((value.tolist(), reduce_op))
        return (value + 0.7) / 2

    trainer: Any = SimpleNamespace(global_step=3, strategy=SimpleNamespace(reduce=reduce))
    controller.on_train_start(trainer, module)
    for step, sparsity in ((3, 0.1), (4, 0.5)):
        trainer.global_step = step
        controller.on_train_batch_end(trainer, module, {"sparsities": torch.tensor([sparsity])}, None, 0)
    assert shared == [(pytest.approx([0.3]), "mean")]
    assert value_of(module) == pytest.approx(START * math.exp(K * (TARGET - 0.5)))


@pytest.mark.parametrize("released", [False, True])
def test_evaluation_leaves_lambda_alone(tiny_corpus: Path, released: bool) -> None:
    """Released bug 2: two passes of validation and test and a generated answer leave the whole
    state as it was. The released form fails."""
    module = with_lambda(released)
    data = make_data(tiny_corpus, module)
    trainer = make_trainer(data)
    before = value_of(module)
    for _ in range(2):
        trainer.validate(module, datamodule=data, verbose=False)
        trainer.test(module, datamodule=data, verbose=False)
    module.chat.answer(make_batch(module.chat, "Is <tom> here?"), max_new_tokens=2)
    out = module.chat(make_batch(module.chat, ("Is <tom> here?", "No.")))
    module.objective(out.logits, out.labels, out.first, out.routings)
    assert (value_of(module) == before) == (not released)


@pytest.mark.parametrize("released", [False, True])
def test_validation_during_training_leaves_lambda_alone(tiny_corpus: Path, released: bool) -> None:
    """The released code has no validation; ours asks for the answers' loss alone, so only a forward of the
    objective could move lambda, and only an optimizer step does."""
    values = []
    for limit in (0, 2):
        module, watch = with_lambda(released), Watch()
        fit(module, make_data(tiny_corpus, module), watch, limit_val_batches=limit, val_check_interval=1)
        values.append(watch.values)
    assert values[0] == values[1]


@pytest.mark.parametrize("released", [False, True])
def test_resume_continues_lambda(tiny_corpus: Path, tmp_path: Path, released: bool) -> None:
    """Released bug 2: the released lambda is in no checkpoint and starts again."""
    whole = with_lambda(released)
    fit(whole, make_data(tiny_corpus, whole))

    first = with_lambda(released)
    data = make_data(tiny_corpus, first)
    trainer = make_trainer(data, max_epochs=1)
    trainer.fit(first, datamodule=data)
    trainer.save_checkpoint(tmp_path / "half.ckpt")

    second = with_lambda(released)
    data = make_data(tiny_corpus, second)
    trainer = make_trainer(data)
    trainer.fit(second, datamodule=data, ckpt_path=tmp_path / "half.ckpt", weights_only=True)
    assert (value_of(second) == value_of(whole)) == (not released)
    assert value_of(whole) != START


def test_a_lambda_for_each_module_follows_its_module(tiny_corpus: Path) -> None:
    module, seen = with_lambda(), []
    module.objective.smooth_proximity = RoutingSparsity(initial=START, k=K, target=TARGET, num_modules=3)

    class Record(L.Callback):
        def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, i: int) -> None:
            seen.append(outputs["sparsities"])

    fit(module, make_data(tiny_corpus, module, stages=make_plan(1, 0)), Record())
    expected = START * torch.exp(K * (TARGET - torch.stack(seen)).sum(0))
    torch.testing.assert_close(module.objective.smooth_proximity.weight, expected)
    assert len(set(expected.tolist())) == 3


def test_without_routing_losses_there_is_nothing_to_drive(tiny_corpus: Path) -> None:
    module = make_module(chat={"routed": None}, objective=Objective(language_modeling=AnswerCrossEntropy()))
    fit(module, make_data(tiny_corpus, module, stages=make_plan(1, 0)))
    assert "train/lambda" not in module.trainer.callback_metrics
