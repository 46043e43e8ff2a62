"""``best.ckpt``: the weights of the best validation, told by last.ckpt what to beat. What ``last.ckpt`` is
for: tests/test_training.py, tests/test_resume.py."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import torch
from tiny import Scores, make_data, make_module, make_plan, make_trainer

from pvchat.callbacks import Checkpointing
from pvchat.checkpoints import read_checkpoint
from pvchat.training import MetricName, PersonalizedVideoChat


class Epochs(L.Callback):
    """What was trained, as it was at every validation."""

    def __init__(self) -> None:
        self.states: list[dict[str, torch.Tensor]] = []

    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        self.states.append({n: v.clone() for n, v in pl_module.trainable_state().items()})


def train(
    corpus: Path, folder: Path, values: Sequence[float], metric: MetricName = "val/loss", **more: Any
) -> tuple[PersonalizedVideoChat, Epochs]:
    module, seen = make_module(), Epochs()
    data = make_data(corpus, module, stages=make_plan(1, 3), batch_size=8)
    callbacks = (Scores(values, metric), seen, Checkpointing(monitor=metric))
    last = more.pop("last", None)
    more |= {"default_root_dir": folder, "enable_checkpointing": True, "limit_train_batches": 1}
    make_trainer(data, *callbacks, **more).fit(module, datamodule=data, ckpt_path=last, weights_only=True)
    return module, seen


def is_of(epoch: dict[str, torch.Tensor], best: Path) -> bool:
    saved = read_checkpoint(best)["state_dict"]
    return all(torch.equal(saved[name], value) for name, value in epoch.items())


def test_best_is_the_best_epoch_and_holds_what_is_trained_alone(tiny_corpus: Path, tmp_path: Path) -> None:
    module, seen = train(tiny_corpus, tmp_path, (3.0, 1.0, 2.0, 1.5))
    best = tmp_path / "checkpoints" / "best.ckpt"
    assert [is_of(epoch, best) for epoch in seen.states] == [False, True, False, False]
    found = read_checkpoint(best)
    assert set(found["state_dict"]) == set(module.trainable_state()) | {"objective.smooth_proximity.weight"}
    assert "optimizer_states" not in found


def test_an_auc_is_best_where_it_is_highest(tiny_corpus: Path, tmp_path: Path) -> None:
    _, seen = train(tiny_corpus, tmp_path, (0.5, 0.9, 0.6, 0.7), "val/presence_auc")
    assert is_of(seen.states[1], tmp_path / "checkpoints" / "best.ckpt")


def test_a_resumed_run_knows_what_to_beat(tiny_corpus: Path, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    train(tiny_corpus, tmp_path, (3.0, 1.0), max_epochs=2)
    before = (folder / "best.ckpt").read_bytes()
    train(tiny_corpus, tmp_path, (2.0,), max_epochs=3, last=folder / "last.ckpt")
    assert (folder / "best.ckpt").read_bytes() == before
    _, seen = train(tiny_corpus, tmp_path, (0.5,), last=folder / "last.ckpt")
    assert is_of(seen.states[0], folder / "best.ckpt")


def test_without_a_metric_there_is_no_best(tiny_corpus: Path, tmp_path: Path) -> None:
    module = make_module()
    data = make_data(tiny_corpus, module, stages=make_plan(1, 0))
    trainer = make_trainer(data, Checkpointing(), default_root_dir=tmp_path, enable_checkpointing=True)
    trainer.fit(module, datamodule=data)
    assert [p.name for p in (tmp_path / "checkpoints").iterdir()] == ["last.ckpt"]
