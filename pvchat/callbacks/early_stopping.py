"""Ends a training that no longer gets better."""

import sys
from collections.abc import Sequence
from typing import Any

import lightning as L

from pvchat.callbacks.monitoring import BestScore, check_monitor, is_judged
from pvchat.errors import UserError
from pvchat.stages import StageName
from pvchat.training import MetricName, PersonalizedVideoChat


class EarlyStopping(L.Callback):
    """Ends the training after ``patience`` validations in which ``monitor`` did not get better by more than
    ``min_delta``; None never does.

    Only validations in one of ``stages`` count: by default the image stage, which would take the video stage
    with it, always runs to its end. Resume goes on counting."""

    def __init__(
        self,
        *,
        patience: int | None = None,
        monitor: MetricName = "val/loss",
        min_delta: float = 0.0,
        stages: Sequence[StageName] = ("video",),
    ) -> None:
        if patience is not None and patience < 1:
            raise UserError(f"early_stopping.patience must be >= 1 or null: got {patience}.")
        if min_delta < 0:
            raise UserError(f"early_stopping.min_delta must be >= 0: got {min_delta}.")
        self.patience, self.stages = patience, tuple(stages)
        self.score = BestScore(monitor, min_delta=min_delta)
        self.waited = 0

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.patience is not None:
            check_monitor(self.score.monitor, trainer, pl_module)
            trainer.should_stop = self.waited >= self.patience  # resumed where it had stopped

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, PersonalizedVideoChat)
        if self.patience is None or not is_judged(trainer):
            return
        if pl_module.data.stages.name_at(trainer.current_epoch) not in self.stages:
            return
        self.waited = 0 if self.score.improves(trainer) else self.waited + 1
        if self.waited >= self.patience:
            trainer.should_stop = True
            if trainer.is_global_zero:
                best = self.score.best
                was = "was never finite" if best is None else f"was best at {best:.4g}"
                told = f"Stopped early: {self.score.monitor} {was}, no better in {self.waited} validations."
                print(told, file=sys.stderr)

    def state_dict(self) -> dict[str, Any]:
        return {"waited": self.waited, "best": self.score.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.waited, self.score.best = state_dict["waited"], state_dict["best"]
