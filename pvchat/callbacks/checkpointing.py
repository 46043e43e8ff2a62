"""Keeps a checkpoint to resume from, whatever ends the run."""

import os
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Checkpoint

from pvchat.callbacks.monitoring import BestScore, check_monitor, is_judged
from pvchat.errors import UserError, writing
from pvchat.interruption import Interruption, SignalListener
from pvchat.runs import BEST, CHECKPOINTS, LAST
from pvchat.training import MetricName


class Checkpointing(Checkpoint):
    """Writes ``checkpoints/last.ckpt`` into the run folder after every ``every_n_steps`` optimizer steps,
    after each epoch and on Ctrl-C or SIGTERM, whole or not at all. With ``monitor`` also ``best.ckpt``, the
    weights (to use, not to resume) of the best validation; resume knows how good that was.

    Lightning's ModelCheckpoint writes through the temporary folder, which may be on another disk, and also
    between the last batch of an epoch and its end: resumed from there, the next epoch is taken to have begun,
    and if it is longer (the video stage asks more than the image stage) only its surplus is trained.
    A signal waits for the end of the step: inside it, gradients and half of an update would be lost."""

    def __init__(self, *, every_n_steps: int = 20, monitor: MetricName | None = None) -> None:
        if every_n_steps < 1:
            raise UserError(f"checkpoint.every_n_steps must be >= 1: got {every_n_steps}.")
        self.every_n_steps = every_n_steps
        self.score = BestScore(monitor) if monitor else None
        self._saved_step = 0
        self._signals = SignalListener()
        self._ends = False

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.score is not None:
            check_monitor(self.score.monitor, trainer, pl_module)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.score is not None and is_judged(trainer) and self.score.improves(trainer):
            self._write(trainer, BEST, weights_only=True)

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.score.best if self.score else None}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if self.score:
            self.score.best = state_dict["best"]

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
        self._write(trainer, LAST, weights_only=False)
        self._saved_step = trainer.global_step

    def _write(self, trainer: L.Trainer, name: str, *, weights_only: bool) -> None:
        path = Path(trainer.default_root_dir) / CHECKPOINTS / name
        partial = path.with_name(f".{path.name}")
        with writing(path):
            try:
                trainer.save_checkpoint(partial, weights_only=weights_only)
                if trainer.is_global_zero:
                    os.replace(partial, path)
            finally:
                if trainer.is_global_zero:
                    partial.unlink(missing_ok=True)
