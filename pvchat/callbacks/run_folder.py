"""Fills the run folder: config, record of what the run was made of, metrics, predictions, adapter."""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import lightning as L
import yaml
from lightning.pytorch.loggers import WandbLogger

from pvchat import assets
from pvchat.checkpoints import save_adapter
from pvchat.datamodules.personalized import PersonalizedDataModule
from pvchat.datamodules.video import content_hash
from pvchat.evaluation import signatures
from pvchat.loggers.wandb_log import show_config
from pvchat.modules.published.digests import base_digest
from pvchat.modules.published.key_table import published_name
from pvchat.provenance import LARGEST_PATCH, differences, environment, uncommitted
from pvchat.runs import (
    ADAPTER,
    ANSWERS,
    CONFIG,
    DATA,
    HEAD_MAP,
    METRICS,
    PATCH,
    PREDICTIONS,
    RECORD,
    TESTED,
    read_config,
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
    its record is added to. One that trains on loses the test of what it was before. ``started_from`` says
    which weights of another run it began with."""

    def __init__(self, path: Path, *, config: str, weights: str = "last") -> None:
        self.path, self.config, self.weights = path, config, weights
        self.started, self.started_from = _now(), dict[str, str]()
        self.record: dict[str, Any] = {}
        self._environment: dict[str, Any] = {}

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.is_global_zero:
            self._begin_training(trainer, self._look(trainer))
        self._begin(trainer, pl_module)

    def on_test_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._begin(trainer, pl_module)

    def on_predict_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._begin(trainer, pl_module)

    def _look(self, trainer: L.Trainer) -> dict[str, Any]:
        """Where we are; returns what is on record."""
        if not self._environment:
            here = environment(trainer.strategy.root_device)
            self._environment = here | {"processes": trainer.world_size}
        return read_record(self.path) if (self.path / RECORD).is_file() else {}

    def _begin_training(self, trainer: L.Trainer, before: dict[str, Any]) -> None:
        """What is left of the record ``before``, and how a resumed training differs from what it was."""
        for name in (METRICS, PREDICTIONS, ANSWERS, TESTED, PATCH, f"{HEAD_MAP}.json", f"{HEAD_MAP}.png"):
            (self.path / name).unlink(missing_ok=True)
        write_text(self.path / CONFIG, self.config)
        if 0 < len(patch := uncommitted()) <= LARGEST_PATCH:
            write_text(self.path / PATCH, patch)
        config = yaml.safe_load(self.config)
        if trainer.global_step and before:
            now = {"environment": self._environment, "config": config}
            changed = differences({name: before.get(name, {}) for name in now}, now)
            resumed = [*before.get("resumed", []), {"step": trainer.global_step, "differs": changed}]
            done = ("fitted", "tested", "predicted", "tested_in")
            before = {k: v for k, v in before.items() if k not in done} | {"resumed": resumed}
        else:
            before = {k: v for k, v in before.items() if k == "repeats"}
        write_json(self.path / RECORD, before | {"config": config})

    def _begin(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, PersonalizedVideoChat)
        if not trainer.is_global_zero:
            return
        before = self._look(trainer)
        self.record = {
            "started": self.started,
            "environment": self._environment,
            "config": yaml.safe_load(self.config),
            **before,
            "subjects": list(pl_module.chat.registry.names),
            "seed": pl_module.seed,
            "data": pl_module.data.source.fingerprint,
            "base": pl_module.base_fingerprint,
            "assets": before.get("assets", {}) | _assets(pl_module),
        }
        if self.started_from:
            self.record["init_from"] = self.started_from
        if not (self.path / CONFIG).is_file():
            write_text(self.path / CONFIG, self.config)
        write_json(self.path / RECORD, self.record)
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):  # the whole config, not what Lightning knows of it
                show_config(logger, yaml.safe_load(self.config))

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
            write_json(self.path / DATA, _files(pl_module.data, tested=False))
            self._stamp(pl_module, fitted=_now())

    def on_test_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, PersonalizedVideoChat)
        if trainer.is_global_zero:
            write_json(self.path / METRICS, pl_module.metrics)
            self._write(PREDICTIONS, pl_module)
            self._keep_config_of_test()
            write_json(self.path / DATA, _files(pl_module.data, tested=True))
            self._stamp(
                pl_module,
                threshold=pl_module.threshold,
                bleu=signatures(),
                weights=self.weights,
                tested=_now(),
                tested_in=differences(self.record["environment"], self._environment),
            )

    def on_predict_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, PersonalizedVideoChat)
        if trainer.is_global_zero:
            self._write(ANSWERS, pl_module)
            self._stamp(pl_module, predicted=_now())

    def _keep_config_of_test(self) -> None:
        trained, tested = read_config(self.path / CONFIG), yaml.safe_load(self.config)
        if any(trained[key] != tested[key] for key in trained.keys() & tested.keys()):
            write_text(self.path / TESTED, self.config)
        else:
            (self.path / TESTED).unlink(missing_ok=True)

    def _stamp(self, module: PersonalizedVideoChat, **done: Any) -> None:
        """Record what was ``done``, and the clips that it was done without."""
        left_out = self.record.get("left_out", {}) | module.data.left_out()
        self.record |= done | ({"left_out": left_out} if left_out else {})
        write_json(self.path / RECORD, self.record)

    def _write(self, name: str, module: PersonalizedVideoChat) -> None:
        write_jsonl(self.path / name, (p.as_json() for p in module.predictions))


def _files(data: PersonalizedDataModule, *, tested: bool) -> dict[str, Any]:
    """Clips that were used: where they were, and the sha256 of their bytes."""
    used = [r for r in data.records if r.id not in data.bad_clips and (tested or r.split != "test")]
    return {
        "fingerprint": data.source.fingerprint,
        "clips": {
            r.id: {"path": str(r.path), "sha256": content_hash(r.path)} for r in used if r.path.is_file()
        },
    }


def _assets(module: PersonalizedVideoChat) -> dict[str, str]:
    """Embedded parts, and the imported checkpoint."""
    source = module.chat.pretrained
    imported = {"pretrained": base_digest(source.digests, ())} if source and source.digests else {}
    return assets.used() | imported


def _started_from(module: PersonalizedVideoChat, trained: Iterable[str]) -> dict[str, str]:
    """What names the imported checkpoint that training started from, for its export."""
    source = module.chat.pretrained
    if source is None or not source.digests:
        return {}
    return {"checkpoint": base_digest(source.digests, {published_name(name) for name in trained})}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
