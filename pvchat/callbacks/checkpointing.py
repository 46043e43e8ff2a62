"""Keeps a checkpoint to resume from, whatever ends the run."""

import os
from pathlib import Path

import lightning as L
from lightning.pytorch.callbacks import Checkpoint

from pvchat.errors import UserError, writing
from pvchat.interruption import Interruption, SignalListener
from pvchat.runs import CHECKPOINTS, LAST


class Checkpointing(Checkpoint):
    """Writes ``checkpoints/last.ckpt`` into the run folder after every ``every_n_steps`` optimizer steps,
    after each epoch and on Ctrl-C or SIGTERM, whole or not at all.

    Lightning's ModelCheckpoint writes through the temporary folder, which may be on another disk, and also
    between the last batch of an epoch and its end: resumed from there, the next epoch is taken to have begun,
    and if it is longer (the video stage asks more than the image stage) only its surplus is trained.
    A signal waits for the end of the step: inside it, gradients and half of an update would be lost."""

    def __init__(self, *, every_n_steps: int = 20) -> None:
        if every_n_steps < 1:
            raise UserError(f"checkpoint.every_n_steps must be >= 1: got {every_n_steps}.")
        self.every_n_steps = every_n_steps
        self._saved_step = 0
        self._signals = SignalListener()
        self._ends = False

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._saved_step, self._ends = trainer.global_step, False
        self._signals.start()

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: object, batch_idx: int
    ) -> None:
        if self._ends:  # not where it was saved: the step had yet to be logged
            self._end(trainer)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        stepped = (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        ends = self._is_interrupted(trainer) and stepped
        due = trainer.global_step % self.every_n_steps == 0 and trainer.global_step > self._saved_step
        if (due or ends) and not trainer.is_last_batch:
            self._save(trainer)
            self._ends = ends

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._ends = self._is_interrupted(trainer)
        self._save(trainer)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._signals.stop()

    def on_exception(
        self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException
    ) -> None:
        self._signals.stop()

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        if stage == "fit" and self._ends:  # the last step was the last of all: what follows does not
            self._end(trainer)

    def _is_interrupted(self, trainer: L.Trainer) -> bool:
        """The same in all processes, or those left would wait for ever."""
        return trainer.strategy.reduce_boolean_decision(self._signals.received is not None, all=False)

    def _end(self, trainer: L.Trainer) -> None:
        self._ends = False
        number = self._signals.received or 2  # of another process: as Ctrl-C
        if trainer.fast_dev_run:  # type: ignore[attr-defined]
            raise Interruption(number)
        raise Interruption(
            number,
            f"interrupted at step {trainer.global_step}; "
            f"continue with `pvchat fit --resume {trainer.default_root_dir}`.",
        )

    def _save(self, trainer: L.Trainer) -> None:
        if trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        path = Path(trainer.default_root_dir) / CHECKPOINTS / LAST
        partial = path.with_name(f".{path.name}")
        with writing(path):
            try:
                trainer.save_checkpoint(partial, weights_only=False)
                if trainer.is_global_zero:
                    os.replace(partial, path)
            finally:
                if trainer.is_global_zero:
                    partial.unlink(missing_ok=True)
        self._saved_step = trainer.global_step
