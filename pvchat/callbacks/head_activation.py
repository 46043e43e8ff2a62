"""Which heads react to the subject? Activation per head with and without them (paper, figure 7)."""

from pathlib import Path
from typing import Any

import lightning as L
import torch
from PIL import Image
from torch import Tensor

from pvchat.batch import Batch
from pvchat.loggers.media import can_show, show_picture
from pvchat.metrics.functional.reaction import head_auc, held_out_auc
from pvchat.reporting.heatmap import plot_head_activation
from pvchat.routing import Routing
from pvchat.runs import HEAD_MAP, write_json
from pvchat.training import PersonalizedVideoChat


class HeadActivationMap(L.Callback):
    """During a test, averages the weight of every head of every routed module over clips with and without
    the person asked about; writes ``head_activation.json`` and ``.png`` into the run folder and logs the
    picture where the logger can show one. Beside the means the file says how well each routed head tells the
    two kinds of clips apart (``auc``), and how well the best of them does (``held_out_auc``, all modules
    together), where there are two clips of each. Dense runs have no routed module and leave no map."""

    def __init__(self) -> None:
        self._weights: dict[str, list[Tensor]] = {}  # (H,) of each question
        self._asked: list[tuple[str, bool]] = []  # its clip, and whether the person is there
        self._num_shared_heads = 0

    def on_test_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._weights, self._asked = {}, []

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
        rows = [i for i, e in enumerate(batch.examples) if e.polarity is not None]
        if pl_module.baseline is not None:
            return
        if pl_module.data.test_variants[dataloader_idx] != "main" or not rows:
            return
        for name, routing in pl_module.chat.encode(batch).routings.items():
            self._num_shared_heads = routing.head_weights.shape[-1] - routing.scores.shape[-1]
            self._weights.setdefault(name, []).extend(_per_clip(routing)[rows].cpu())
        self._asked += [(batch.examples[i].clip_id, batch.examples[i].polarity == "yes") for i in rows]

    def on_test_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, PersonalizedVideoChat)
        present = torch.tensor([there for _, there in self._asked], dtype=torch.bool)
        if not trainer.is_global_zero or not self._weights or present.all() or not present.any():
            return
        weights = {name: torch.stack(rows) for name, rows in self._weights.items()}
        maps = {
            key: {name: rows[side].mean(0).tolist() for name, rows in weights.items()}
            for key, side in (("present", present), ("absent", ~present))
        }
        folder = Path(trainer.default_root_dir)
        write_json(folder / f"{HEAD_MAP}.json", maps | self._reaction(weights))
        plot_head_activation(
            maps["present"],
            maps["absent"],
            folder / f"{HEAD_MAP}.png",
            num_shared_heads=self._num_shared_heads,
            title=f"Head activation: {', '.join(pl_module.chat.registry.names)}",
        )
        if can_show(trainer.loggers):
            with Image.open(folder / f"{HEAD_MAP}.png") as picture:
                show_picture(trainer.loggers, "test/head_activation", picture, step=trainer.global_step)

    def _reaction(self, weights: dict[str, Tensor]) -> dict[str, Any]:
        """Of routed heads, a clip counted once however often it is asked about."""
        clips = list(dict.fromkeys(self._asked))
        rows = [[i for i, asked in enumerate(self._asked) if asked == clip] for clip in clips]
        present = torch.tensor([there for _, there in clips])
        routed = {
            name: torch.stack([values[r].mean(0) for r in rows])[:, self._num_shared_heads :]
            for name, values in weights.items()
        }
        numbers: dict[str, Any] = {"auc": {n: head_auc(w, present).tolist() for n, w in routed.items()}}
        if min(present.sum(), (~present).sum()) >= 2:
            numbers["held_out_auc"] = held_out_auc(torch.cat(list(routed.values()), dim=1), present)
        return numbers


def _per_clip(routing: Routing) -> Tensor:
    """Mean weight of each head over the tokens that count: (B, H)."""
    weights = routing.head_weights
    if routing.mask is None:
        return weights.mean(dim=1)
    counted = routing.mask.unsqueeze(-1).to(weights.dtype)
    return (weights * counted).sum(dim=1) / counted.sum(dim=1).clamp(min=1)
