"""Who is said to be there, and how surely? The confusion matrix and the reliability diagram of a test."""

import lightning as L

from pvchat.evaluation import Prediction
from pvchat.loggers.media import can_show, show_picture
from pvchat.metrics.functional.calibration import reliability_bins
from pvchat.metrics.functional.presence import presence_counts
from pvchat.reporting.confusion import plot_confusion
from pvchat.reporting.reliability import plot_reliability
from pvchat.training import PersonalizedVideoChat


class PresencePlots(L.Callback):
    """Logs ``test/confusion`` (written answers, each person asked about counts) and ``test/reliability``
    (scores) of the existence questions as they are, without controls."""

    def on_test_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, PersonalizedVideoChat)
        asked = [p for p in pl_module.predictions if p.control == "main" and p.polarity is not None]
        if not asked or not trainer.is_global_zero or not can_show(trainer.loggers):
            return
        step = trainer.global_step
        bins = reliability_bins([p.score for p in asked], [p.polarity == "yes" for p in asked])
        show_picture(trainer.loggers, "test/reliability", plot_reliability(bins), step=step)
        if written := [p for p in asked if p.answer is not None]:
            show_picture(trainer.loggers, "test/confusion", plot_confusion(confusion(written)), step=step)


def confusion(predictions: list[Prediction]) -> list[list[int]]:
    """(there, not there) by (said there, said not there, not parsed), of (question, person) pairs."""
    right, total, unparsed = (
        part.tolist()
        for part in presence_counts(
            [p.answer or "" for p in predictions],
            [p.presence for p in predictions],
            [p.subjects for p in predictions],
        )
    )
    wrong = [n - r - u for n, r, u in zip(total, right, unparsed, strict=True)]
    return [[right[1], wrong[1], unparsed[1]], [wrong[0], right[0], unparsed[0]]]
