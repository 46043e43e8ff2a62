"""Fills the run folder: config, record of what the run was made of, metrics, predictions, adapter."""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.loggers import WandbLogger

from pvchat.checkpoints import save_adapter
from pvchat.evaluation import signatures
from pvchat.modules.published.digests import base_digest
from pvchat.modules.published.key_table import published_name
from pvchat.runs import (
    ADAPTER,
    ANSWERS,
    CONFIG,
    HEAD_MAP,
    METRICS,
    PREDICTIONS,
    RECORD,
    environment,
    read_record,
    write_json,
    write_jsonl,
    write_text,
)
from pvchat.strategies import whole
from pvchat.training import PersonalizedVideoChat


class RunFolder(L.Callback):
    """Writes into ``path``, once the run really begins: one that is refused leaves nothing. ``config`` is the
    resolved YAML, ``weights`` says which of the run are tested. A run that is tested later keeps its config,
    its record is added to. One that trains on loses the test of what it was before."""

    def __init__(self, path: Path, *, config: str, weights: str = "last") -> None:
        self.path, self.config, self.weights = path, config, weights
        self.record: dict[str, Any] = {"started": _now(), "environment": environment()}

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.is_global_zero:
            for name in (METRICS, PREDICTIONS, ANSWERS, f"{HEAD_MAP}.json", f"{HEAD_MAP}.png"):
                (self.path / name).unlink(missing_ok=True)
            write_text(self.path / CONFIG, self.config)
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
        self._begin(trainer, pl_module)  # a run that was resumed with no step left has not begun
        state = whole(pl_module.trainable_state())
        if trainer.is_global_zero:
            save_adapter(
                self.path / ADAPTER,
                state,
                {
                    "subjects": list(pl_module.chat.registry.names),
                    "base_fingerprint": pl_module.base_fingerprint,
                    **_started_from(pl_module, state),
                },
            )
            self._stamp(pl_module, fitted=_now())

    def on_test_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, PersonalizedVideoChat)
        if trainer.is_global_zero:
            write_json(self.path / METRICS, pl_module.metrics)
            self._write(PREDICTIONS, pl_module)
            self._stamp(
                pl_module,
                threshold=pl_module.threshold,
                bleu=signatures(),
                weights=self.weights,
                tested=_now(),
            )

    def on_predict_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, PersonalizedVideoChat)
        if trainer.is_global_zero:
            self._write(ANSWERS, pl_module)
            self._stamp(pl_module, predicted=_now())

    def _stamp(self, module: PersonalizedVideoChat, **done: Any) -> None:
        """Record what was ``done``, and the clips that it was done without."""
        left_out = self.record.get("left_out", {}) | module.data.left_out()
        self.record |= done | ({"left_out": left_out} if left_out else {})
        write_json(self.path / RECORD, self.record)

    def _write(self, name: str, module: PersonalizedVideoChat) -> None:
        write_jsonl(self.path / name, (p.as_json() for p in module.predictions))


def _started_from(module: PersonalizedVideoChat, trained: Iterable[str]) -> dict[str, str]:
    """What names the imported checkpoint that training started from, for its export."""
    source = module.chat.pretrained
    if source is None or not source.digests:
        return {}
    return {"checkpoint": base_digest(source.digests, {published_name(name) for name in trained})}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
