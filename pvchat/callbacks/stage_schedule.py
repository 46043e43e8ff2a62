"""Switches the training from image to video: which parameter groups move is a function of the epoch."""

from collections.abc import Collection

import lightning as L

from pvchat.errors import UserError
from pvchat.loggers.media import show_text
from pvchat.stages import StageName, StagePlan
from pvchat.training import PersonalizedVideoChat


def check_groups(plan: StagePlan, available: Collection[str]) -> None:
    """Raise UserError when a stage of ``plan`` trains a group that there is none of."""
    for name, part in (("image", plan.image), ("video", plan.video)):
        if unknown := sorted(set(part.trainable) - set(available)):
            raise UserError(
                f"stages.{name}.trainable names unknown groups {unknown}; available: {sorted(available)}."
            )


class StageSchedule(L.Callback):
    """Applies ``plan`` (paper, section 3.4): late encoder blocks train in the video stage only.

    Frozen parameters have no gradient, so the optimizer skips them altogether (no decay, no momentum).
    Logs the name of a stage where it begins, or is resumed, as ``train/stage``.
    Raises UserError when a stage names an unknown group.
    """

    def __init__(self, plan: StagePlan) -> None:
        self.plan = plan
        self._marked: StageName | None = None

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        assert isinstance(pl_module, PersonalizedVideoChat)
        check_groups(self.plan, pl_module.chat.parameter_groups())

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._apply(trainer, pl_module)  # a run resumed inside an epoch gets no epoch start

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._apply(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        video = float(self.plan.name_at(trainer.current_epoch) == "video")
        pl_module.log("train/video_stage", video, batch_size=1)

    def _apply(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, PersonalizedVideoChat)
        pl_module.train_only(self.plan.at(trainer.current_epoch).trainable)
        name = self.plan.name_at(trainer.current_epoch)
        if trainer.is_global_zero and name != self._marked:
            show_text(trainer.loggers, "train/stage", name, step=trainer.global_step)
        self._marked = name
