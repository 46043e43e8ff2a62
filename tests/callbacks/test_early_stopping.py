"""A training ends when it no longer gets better: in which stage, by which metric, and again after resume."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from tiny import Scores, make_corpus, make_data, make_module, make_plan, make_trainer

from pvchat.callbacks import Checkpointing, EarlyStopping
from pvchat.checkpoints import read_checkpoint
from pvchat.errors import UserError


def epochs(corpus: Path, values: Sequence[float], *, plan: tuple[int, int] = (2, 6), **settings: Any) -> int:
    """How many epochs are validated when validation gives ``values``."""
    module = make_module()
    data = make_data(corpus, module, stages=make_plan(*plan), batch_size=8)
    told = Scores(values, settings.get("monitor", "val/loss"))
    trainer = make_trainer(data, told, EarlyStopping(**settings), limit_train_batches=1)
    trainer.fit(module, datamodule=data)
    assert trainer.current_epoch == told.seen
    return told.seen


WORSE = (3.0, 4.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0)


def test_the_image_stage_never_stops_and_does_not_count(tiny_corpus: Path) -> None:
    """Two image epochs, then the best one and two that are worse."""
    assert epochs(tiny_corpus, WORSE, patience=2) == 5
    assert epochs(tiny_corpus, (1.0, 2.0, *[9.0] * 6), patience=1) == 4  # the first to count has no rival


def test_both_stages_count_where_asked(tiny_corpus: Path) -> None:
    assert epochs(tiny_corpus, WORSE, patience=1, stages=("image", "video")) == 2


def test_without_patience_nothing_stops(tiny_corpus: Path) -> None:
    assert epochs(tiny_corpus, WORSE) == 8


def test_an_auc_is_better_when_higher(tiny_corpus: Path) -> None:
    values = (0.0, 0.0, 0.5, 0.6, 0.7, 0.6, 0.8, 0.9)
    assert epochs(tiny_corpus, values, patience=1, monitor="val/presence_auc") == 6


def test_a_little_better_is_not_enough_and_nan_is_worse(tiny_corpus: Path) -> None:
    values = (9.0, 9.0, 1.0, 0.95, 0.94, 0.5, 0.4, 0.3)
    assert epochs(tiny_corpus, values, patience=2, min_delta=0.1) == 5
    assert epochs(tiny_corpus, (9.0, 9.0, 1.0, torch.nan, 0.5, 0.4, 0.3, 0.2), patience=1) == 4
    assert epochs(tiny_corpus, (9.0, 9.0, torch.nan, 1.0, 0.9, 0.8, 0.7, 0.6), patience=2) == 8
    assert epochs(tiny_corpus, (9.0, 9.0, *[torch.nan] * 6), patience=2) == 4  # and says so


def test_resume_goes_on_counting(tiny_corpus: Path, tmp_path: Path) -> None:
    """Saved after one that was worse: one more ends it. A run that had stopped trains no further."""

    def go(values: Sequence[float], last: Path | None = None, **settings: Any) -> L.Trainer:
        module = make_module()
        data = make_data(tiny_corpus, module, stages=make_plan(1, 6), batch_size=8)
        kept = Checkpointing(monitor="val/loss")
        callbacks = (Scores(values), EarlyStopping(patience=2), kept)
        settings |= {"default_root_dir": tmp_path, "enable_checkpointing": True, "limit_train_batches": 1}
        trainer = make_trainer(data, *callbacks, **settings)
        trainer.fit(module, datamodule=data, ckpt_path=last, weights_only=True)
        return trainer

    last = tmp_path / "checkpoints" / "last.ckpt"
    go((5.0, 1.0, 2.0), max_epochs=3)
    assert go((3.0, 0.1), last).current_epoch == 4
    assert read_checkpoint(last)["global_step"] == 4
    assert go((), last).global_step == 4


def test_what_cannot_be_measured_is_refused(tmp_path: Path) -> None:
    """Before the first step: by the image stage it would be hours."""
    for clips, metric, said in (
        ({"train": 2}, "val/loss", "val/loss is measured on validation clips: got none"),
        ({"train": 2, "validation": 1}, "val/presence_auc", "needs validation clips with and without"),
    ):
        module = make_module()
        data = make_data(make_corpus(tmp_path / metric, clips=clips), module)  # type: ignore[arg-type]
        for callback in (EarlyStopping(patience=1, monitor=metric), Checkpointing(monitor=metric)):  # type: ignore[arg-type]
            trainer = make_trainer(data, callback, default_root_dir=tmp_path, enable_checkpointing=True)
            with pytest.raises(UserError, match=said):
                trainer.fit(module, datamodule=data)
            assert trainer.global_step == 0


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"patience": 0}, "patience must be >= 1 or null: got 0"), ({"min_delta": -1}, "must be >= 0: got -1")],
)
def test_settings(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        EarlyStopping(**settings)
