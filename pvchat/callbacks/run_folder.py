"""Fills the run folder: config, record of what the run was made of, metrics, predictions, adapter."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import lightning as L

from pvchat.checkpoints import save_adapter
from pvchat.runs import (
    ADAPTER,
    CONFIG,
    METRICS,
    PREDICTIONS,
    RECORD,
    environment,
    write_json,
    write_jsonl,
    write_text,
)
from pvchat.training import PersonalizedVideoChat


class RunFolder(L.Callback):
    """Writes into ``path``. ``config`` is the resolved YAML, ``record`` what else should be remembered."""

    def __init__(self, path: Path, *, config: str, record: dict[str, Any] | None = None) -> None:
        self.path, self.config = path, config
        self.record: dict[str, Any] = {"started": _now(), **(record or {}), "environment": environment()}

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        assert isinstance(pl_module, PersonalizedVideoChat)
        if not trainer.is_global_zero:
            return
        data = trainer.datamodule
        self.record |= {
            "subjects": list(pl_module.chat.registry.names),
            "seed": pl_module.seed,
            "data": data.fingerprint,
            "base": pl_module.base_fingerprint,
        }
        write_text(self.path / CONFIG, self.config)
        write_json(self.path / RECORD, self.record)
        for logger in trainer.loggers:
            if hasattr(
                logger.experiment, "config"
            ):  # W&B shows the whole config, not only what Lightning knows
                logger.experiment.config.update({"config_yaml": self.config}, allow_val_change=True)

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, PersonalizedVideoChat)
        if trainer.is_global_zero:
            save_adapter(
                self.path / ADAPTER,
                {n: p for n, p in pl_module.named_parameters() if n in pl_module.trainable},
                {
                    "subjects": list(pl_module.chat.registry.names),
                    "base_fingerprint": pl_module.base_fingerprint,
                },
            )
            write_json(self.path / RECORD, self.record | {"fitted": _now()})

    def on_test_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, PersonalizedVideoChat)
        if trainer.is_global_zero:
            write_json(self.path / METRICS, pl_module.metrics)
            write_jsonl(self.path / PREDICTIONS, (p.as_json() for p in pl_module.predictions))
            write_json(self.path / RECORD, self.record | {"threshold": pl_module.threshold, "tested": _now()})


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
