"""Drives lambda of the Smooth Proximity Regularization: one update per optimizer step, training only."""

from typing import Any

import lightning as L
import torch
from torch import Tensor

from pvchat.training import PersonalizedVideoChat


class SparsityController(L.Callback):
    """Averages the sparsity over accumulated batches and ranks, then updates the buffer (paper, eq. 9)."""

    def __init__(self) -> None:
        self._seen: list[Tensor] = []
        self._step = 0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._seen, self._step = [], trainer.global_step

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, PersonalizedVideoChat)
        proximity = pl_module.objective.smooth_proximity
        if proximity is None:
            return
        self._seen.append(outputs["sparsities"])
        if trainer.global_step > self._step:
            proximity.update(trainer.strategy.reduce(torch.stack(self._seen).mean(dim=0), reduce_op="mean"))
            self._seen, self._step = [], trainer.global_step
