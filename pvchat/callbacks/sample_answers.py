"""What does it answer? A few questions with frames, at the end of each stage and of a test."""

from collections.abc import Sequence
from random import Random

import lightning as L

from pvchat.callbacks.monitoring import is_judged
from pvchat.errors import UserError
from pvchat.evaluation import Prediction, predict
from pvchat.loggers.media import Cell, can_show, show_table
from pvchat.reporting.frame_strip import frame_strip
from pvchat.training import PersonalizedVideoChat

COLUMNS = ("type", "clip", "frames", "question", "answer", "reference", "score")


class SampleAnswers(L.Callback):
    """Logs tables of ``count`` questions with their answers: ``val/sample_answers``, of questions spread over
    the validation clips, after the last epoch of each stage, and ``test/sample_answers``. Nothing where no
    logger shows tables."""

    def __init__(self, *, count: int = 8) -> None:
        if count < 0:
            raise UserError(f"sample_answers.count must be >= 0: got {count}.")
        self.count = count

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, PersonalizedVideoChat)
        stages = pl_module.data.stages
        ends = (stages.image.epochs, stages.epochs)
        if (
            self.count
            and is_judged(trainer)
            and trainer.current_epoch + 1 in ends
            and can_show(trainer.loggers)
        ):
            loader = pl_module.data.val_dataloader()
            assert not isinstance(loader, list)
            assert loader.collate_fn is not None
            asked = [loader.dataset[i] for i in _sample(len(loader.dataset), self.count)]  # type: ignore[arg-type]
            batch = loader.collate_fn(asked).to(pl_module.device)
            most = pl_module.max_new_tokens
            found = predict(pl_module.respondent, batch, "main", max_new_tokens=most)
            self._show(trainer, pl_module, "val/sample_answers", found)

    def on_test_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, PersonalizedVideoChat)
        asked = [p for p in pl_module.predictions if p.control == "main"]
        if self.count and asked and can_show(trainer.loggers):
            chosen = [asked[i] for i in _sample(len(asked), self.count)]
            self._show(trainer, pl_module, "test/sample_answers", chosen)

    def _show(
        self, trainer: L.Trainer, module: PersonalizedVideoChat, name: str, predictions: Sequence[Prediction]
    ) -> None:
        if trainer.is_global_zero:
            clips = {r.id: r for r in module.data.records}
            rows: list[list[Cell]] = [
                [
                    p.type,
                    p.clip_id,
                    frame_strip(clips.get(p.clip_id)),
                    p.question,
                    p.answer,
                    p.reference,
                    p.score,
                ]
                for p in predictions
            ]
            show_table(trainer.loggers, name, COLUMNS, rows, step=trainer.global_step)


def _sample(total: int, count: int) -> list[int]:
    """``count`` of ``total`` places by chance, always the same: even ones could fall in with an order."""
    return sorted(Random(0).sample(range(total), min(total, count)))
