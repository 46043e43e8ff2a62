"""What a training costs: seconds, questions, memory, operations."""

import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol

import lightning as L
import torch

from pvchat.batch import Batch
from pvchat.errors import UserError
from pvchat.loggers.media import show_numbers
from pvchat.training import PersonalizedVideoChat

GB, TERA = 1e9, 1e12


class Counter(AbstractContextManager[Any], Protocol):
    """Counts the operations inside."""

    flops: int


class CostMonitor(L.Callback):
    """Logs what the training has cost so far, every ``every_n_steps`` optimizer steps and at the first one of
    each epoch: ``cost/seconds`` (validation and what a resumed run had done included), ``cost/samples``
    (questions asked), ``cost/peak_memory_gb`` (of the GPU; without one of this process) and, with a
    ``counter`` and in one process, ``cost/tflop`` of all steps: the first one of each stage is counted."""

    def __init__(self, *, every_n_steps: int = 10, counter: Callable[[], Counter] | None = None) -> None:
        if every_n_steps < 1:
            raise UserError(f"cost.every_n_steps must be >= 1: got {every_n_steps}.")
        self.every_n_steps, self.counter = every_n_steps, counter
        self.seconds, self.samples, self.tflop = 0.0, 0, 0.0
        self.tflop_of_one: dict[str, float] = {}  # question, by stage
        self._counting: Counter | None = None
        self._since: float | None = None
        self._step = 0

    def state_dict(self) -> dict[str, Any]:
        kept = {"samples": self.samples, "tflop": self.tflop, "tflop_of_one": dict(self.tflop_of_one)}
        return kept | {"seconds": self._elapsed()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        vars(self).update(state_dict)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._since = time.perf_counter()

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.seconds, self._since = self._elapsed(), None

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        self._step = trainer.global_step  # the loggers count steps from 0
        if self.counter is None or trainer.world_size > 1:
            return
        if _stage(trainer, pl_module) not in self.tflop_of_one:
            self._counting = self.counter()
            self._counting.__enter__()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        stage = _stage(trainer, pl_module)
        if self._counting is not None:
            self._stop()
            self.tflop_of_one[stage] = self._counting.flops / TERA / len(batch)
            self._counting = None
        world = trainer.world_size
        self.samples += len(batch) * world
        self.tflop += self.tflop_of_one.get(stage, 0.0) * len(batch) * world
        if batch_idx and batch_idx % (self.every_n_steps * trainer.accumulate_grad_batches):
            return
        logged = {"cost/seconds": self._elapsed(), "cost/samples": float(self.samples)}
        if (memory := peak_memory(pl_module.device)) is not None:
            logged["cost/peak_memory_gb"] = memory / GB
        if self.tflop:
            logged["cost/tflop"] = self.tflop
        if trainer.is_global_zero:
            show_numbers(trainer.loggers, logged, step=self._step)

    def on_exception(
        self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException
    ) -> None:
        if self._counting is not None:
            self._stop()
            self._counting = None

    def _stop(self) -> None:
        assert self._counting is not None
        self._counting.__exit__(None, None, None)

    def _elapsed(self) -> float:
        return self.seconds + (time.perf_counter() - self._since if self._since is not None else 0.0)


def peak_memory(device: torch.device) -> int | None:
    """Most bytes in use so far; None where the system does not say."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ImportError:  # Windows
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def _stage(trainer: L.Trainer, pl_module: L.LightningModule) -> str:
    assert isinstance(pl_module, PersonalizedVideoChat)
    return pl_module.data.stages.name_at(trainer.current_epoch)
