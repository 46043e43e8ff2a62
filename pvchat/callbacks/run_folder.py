"""Fills the run folder: config, record of what the run was made of, metrics, predictions, adapter."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.loggers import WandbLogger

from pvchat.checkpoints import save_adapter
from pvchat.metrics.functional.text import bleu_signature
from pvchat.runs import (
    ADAPTER,
    ANSWERS,
    CONFIG,
    METRICS,
    PREDICTIONS,
    RECORD,
    environment,
    read_record,
    write_json,
    write_jsonl,
    write_text,
)
from pvchat.training import PersonalizedVideoChat


class RunFolder(L.Callback):
    """Writes into ``path``, once the run really begins: one that is refused leaves nothing. ``config`` is the
    resolved YAML. A run that is resumed or tested later keeps its config; its record is added to."""

    def __init__(self, path: Path, *, config: str) -> None:
        self.path, self.config = path, config
        self.record: dict[str, Any] = {"started": _now(), "environment": environment()}

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._begin(trainer, pl_module)

    def on_test_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._begin(trainer, pl_module)

    def on_predict_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._begin(trainer, pl_module)

    def _begin(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, PersonalizedVideoChat)
        if not trainer.is_global_zero:
            return
        if (self.path / RECORD).is_file():
            self.record |= read_record(self.path)
        self.record |= {
            "subjects": list(pl_module.chat.registry.names),
            "seed": pl_module.seed,
            "data": pl_module.data.source.fingerprint,
            "base": pl_module.base_fingerprint,
        }
        if not (self.path / CONFIG).is_file():
            write_text(self.path / CONFIG, self.config)
        write_json(self.path / RECORD, self.record)
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):  # the whole config, not what Lightning knows of it
                logger.experiment.config.update({"config_yaml": self.config}, allow_val_change=True)

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, PersonalizedVideoChat)
        if trainer.is_global_zero:
            save_adapter(
                self.path / ADAPTER,
                pl_module.trainable_state(),
                {
                    "subjects": list(pl_module.chat.registry.names),
                    "base_fingerprint": pl_module.base_fingerprint,
                },
            )
            self.record["fitted"] = _now()
            write_json(self.path / RECORD, self.record)

    def on_test_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, PersonalizedVideoChat)
        if trainer.is_global_zero:
            write_json(self.path / METRICS, pl_module.metrics)
            self._write(PREDICTIONS, pl_module)
            signatures = {f"bleu{n}": bleu_signature(max_order=n) for n in (1, 4)}
            self.record |= {"threshold": pl_module.threshold, "bleu": signatures, "tested": _now()}
            write_json(self.path / RECORD, self.record)

    def on_predict_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, PersonalizedVideoChat)
        if trainer.is_global_zero:
            self._write(ANSWERS, pl_module)
            self.record["predicted"] = _now()
            write_json(self.path / RECORD, self.record)

    def _write(self, name: str, module: PersonalizedVideoChat) -> None:
        write_jsonl(self.path / name, (p.as_json() for p in module.predictions))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
