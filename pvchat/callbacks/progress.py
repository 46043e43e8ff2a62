"""One progress bar over a whole training, so that the time left is the time left."""

import sys
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import ProgressBar
from tqdm import tqdm

from pvchat.training import PersonalizedVideoChat


class OverallProgress(ProgressBar):
    """Steps of all epochs and stages in one bar, one for each test loader or all answers; works in logs."""

    def __init__(self) -> None:
        super().__init__()
        self._bar: Any = None
        self._enabled = True

    def enable(self) -> None:
        self._enabled = True

    def disable(self) -> None:
        self._enabled = False

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, PersonalizedVideoChat)
        total = pl_module.data.total_steps()
        self._open("training", total, trainer.global_step * trainer.accumulate_grad_batches)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, PersonalizedVideoChat)
        shown: dict[str, str] = {"stage": pl_module.data.stages.name_at(trainer.current_epoch)}
        shown["loss"] = f"{float(outputs['loss']):.2f}"
        if pl_module.chat.qformer.routed:
            shown["active"] = f"{1 - float(outputs['sparsity']):.2f}"
        self._bar.set_postfix(shown, refresh=False)
        self._bar.update()

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._bar.close()

    def on_test_batch_start(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if batch_idx == 0:
            name = "testing" if dataloader_idx == 0 else "testing with faces blanked"
            self._open(name, int(trainer.num_test_batches[dataloader_idx]), 0)

    def on_test_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        self._advance()

    def on_predict_batch_start(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if batch_idx == 0:
            self._open("answering", int(trainer.num_predict_batches[dataloader_idx]), 0)

    def on_predict_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        self._advance()

    def on_exception(
        self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException
    ) -> None:
        if self._bar is not None:  # what is said about it gets a line of its own
            self._bar.close()

    def _advance(self) -> None:
        self._bar.update()
        if self._bar.n >= self._bar.total:
            self._bar.close()

    def _open(self, name: str, total: int, done: int) -> None:
        self._bar = tqdm(
            total=total, initial=done, desc=name, unit="batch", disable=not self._enabled, file=sys.stderr
        )
