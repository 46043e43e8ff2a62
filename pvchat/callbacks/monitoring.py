"""The validation metric that a training is judged by: its best value so far, and whether it can be had."""

from math import isfinite, nan

import lightning as L
from lightning.pytorch.trainer.states import TrainerFn

from pvchat.errors import UserError
from pvchat.training import MetricName, PersonalizedVideoChat


class BestScore:
    """``best`` value so far of ``monitor``; a better one is better by more than ``min_delta``."""

    def __init__(self, monitor: MetricName, *, min_delta: float = 0.0) -> None:
        self.monitor, self.min_delta = monitor, min_delta
        self.best: float | None = None

    def improves(self, trainer: L.Trainer) -> bool:
        """Look at what was just validated. The same in all processes."""
        value = float(trainer.callback_metrics.get(self.monitor, nan))
        sign = -1 if self.monitor == "val/loss" else 1
        better = isfinite(value) and (self.best is None or sign * (value - self.best) > self.min_delta)
        if better:
            self.best = value
        return better


def check_monitor(monitor: MetricName, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
    """Raise UserError unless validation will log ``monitor``."""
    assert isinstance(pl_module, PersonalizedVideoChat)
    if not trainer.limit_val_batches or not pl_module.data.val_dataloader():
        raise UserError(
            f"{monitor} is measured on validation clips: got none, or trainer.limit_val_batches 0. Add some, "
            "or leave out checkpoint.monitor and early_stopping.patience."
        )
    if monitor != "val/loss" and pl_module.data.polarities("validation") != {"yes", "no"}:
        raise UserError(
            f"{monitor} needs validation clips with and without the subject: got one kind. Add the other, or "
            "monitor val/loss."
        )


def is_judged(trainer: L.Trainer) -> bool:
    """Is this validation one of a training, and not of a trial run?"""
    fitting = trainer.state.fn == TrainerFn.FITTING and not trainer.sanity_checking
    return fitting and not trainer.fast_dev_run  # type: ignore[attr-defined]
