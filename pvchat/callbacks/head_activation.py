"""Which heads react to the subject? Activation per head with and without them (paper, figure 7)."""

from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch import Tensor

from pvchat.batch import Batch
from pvchat.reporting.heatmap import plot_head_activation
from pvchat.routing import Routing
from pvchat.runs import HEAD_MAP, write_json
from pvchat.training import PersonalizedVideoChat


class HeadActivationMap(L.Callback):
    """During a test, averages the weight of every head of every routed module over clips with and without
    the person asked about; writes ``head_activation.json`` and ``.png`` into the run folder and logs the
    picture where the logger can show one. Dense runs have no routed module and leave no map."""

    def __init__(self) -> None:
        self._sums: dict[bool, dict[str, Tensor]] = {}
        self._counts: dict[bool, int] = {}
        self._num_shared_heads: int | None = None

    def on_test_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._sums, self._counts = {True: {}, False: {}}, {True: 0, False: 0}

    @torch.no_grad()
    def on_test_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        assert isinstance(pl_module, PersonalizedVideoChat)
        asked = [e.polarity for e in batch.examples]
        if pl_module.baseline is not None:
            return
        if pl_module.data.test_variants[dataloader_idx] != "main" or not any(asked):
            return
        routings = pl_module.chat.encode(batch).routings
        for present in (True, False):
            rows = [i for i, polarity in enumerate(asked) if polarity == ("yes" if present else "no")]
            self._counts[present] += len(rows)
            for name, routing in routings.items():
                self._num_shared_heads = routing.head_weights.shape[-1] - routing.scores.shape[-1]
                total = self._sums[present].get(name, torch.zeros(routing.head_weights.shape[-1]))
                self._sums[present][name] = total + _per_clip(routing)[rows].sum(dim=0).cpu()

    def on_test_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, PersonalizedVideoChat)
        if not trainer.is_global_zero or not self._sums[True] or not all(self._counts.values()):
            return
        maps = {
            key: {
                name: (total / self._counts[present]).tolist() for name, total in self._sums[present].items()
            }
            for key, present in (("present", True), ("absent", False))
        }
        folder = Path(trainer.default_root_dir)
        write_json(folder / f"{HEAD_MAP}.json", maps)
        plot_head_activation(
            maps["present"],
            maps["absent"],
            folder / f"{HEAD_MAP}.png",
            num_shared_heads=self._num_shared_heads,
            title=f"Head activation: {', '.join(pl_module.chat.registry.names)}",
        )
        for logger in trainer.loggers:
            if hasattr(logger, "log_image"):
                logger.log_image(key="test/head_activation", images=[str(folder / f"{HEAD_MAP}.png")])


def _per_clip(routing: Routing) -> Tensor:
    """Mean weight of each head over the tokens that count: (B, H)."""
    weights = routing.head_weights
    if routing.mask is None:
        return weights.mean(dim=1)
    counted = routing.mask.unsqueeze(-1).to(weights.dtype)
    return (weights * counted).sum(dim=1) / counted.sum(dim=1).clamp(min=1)
