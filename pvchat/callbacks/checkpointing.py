"""Keeps a checkpoint to resume from, whatever kills the run."""

import os
from pathlib import Path

import lightning as L
from lightning.pytorch.callbacks import Checkpoint

from pvchat.runs import CHECKPOINTS, LAST


class Checkpointing(Checkpoint):
    """Writes ``checkpoints/last.ckpt`` into the run folder after every ``every_n_steps`` optimizer steps and
    after each epoch, whole or not at all.

    Lightning's ModelCheckpoint writes through the temporary folder, which may be on another disk, and also
    between the last batch of an epoch and its end: resumed from there, the next epoch is taken to have begun,
    and if it is longer (the video stage asks more than the image stage) only its surplus is trained."""

    def __init__(self, *, every_n_steps: int = 20) -> None:
        self.every_n_steps = every_n_steps
        self._saved_step = 0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._saved_step = trainer.global_step

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        due = trainer.global_step % self.every_n_steps == 0 and trainer.global_step > self._saved_step
        if due and not trainer.is_last_batch:
            self._save(trainer)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._save(trainer)

    def _save(self, trainer: L.Trainer) -> None:
        if trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        path = Path(trainer.default_root_dir) / CHECKPOINTS / LAST
        partial = path.with_name(f".{path.name}")
        trainer.save_checkpoint(partial, weights_only=False)
        if trainer.is_global_zero:
            os.replace(partial, path)
        self._saved_step = trainer.global_step
