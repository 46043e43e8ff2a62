"""Corpus BLEU of the answers of a run: thin class over ``functional.text``."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from pvchat.errors import UserError
from pvchat.metrics.functional.text import (
    BLEUStatistics,
    References,
    bleu_score,
    bleu_signature,
    bleu_statistics,
)


class CorpusBLEU(Metric):
    """BLEU in [0, 1] over all answers seen, not a mean over batches; nan before the first.

    Keeps n-gram counts and lengths only, which add up over batches and processes. ``max_order`` 1 is the
    paper's. Numbers are comparable only where ``signature`` is the same."""

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    matches: Tensor
    totals: Tensor
    lengths: Tensor

    def __init__(self, *, max_order: int = 4, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if max_order not in (1, 2, 3, 4):
            raise UserError(f"max_order must be 1, 2, 3 or 4: got {max_order}.")
        self.max_order = max_order
        self.signature = bleu_signature(max_order=max_order)
        for name, size in (("matches", max_order), ("totals", max_order), ("lengths", 2)):
            self.add_state(name, default=torch.zeros(size, dtype=torch.long), dist_reduce_fx="sum")

    def update(self, preds: Sequence[str], target: References) -> None:
        """Add answers: ``preds`` (N) and their references, as ``corpus_bleu`` takes them."""
        part = bleu_statistics(preds, target, max_order=self.max_order)
        self.matches += torch.tensor(part.matches, device=self.device)
        self.totals += torch.tensor(part.totals, device=self.device)
        self.lengths += torch.tensor([part.preds_length, part.target_length], device=self.device)

    def compute(self) -> Tensor:
        preds_length, target_length = (int(n) for n in self.lengths.tolist())
        if target_length == 0:
            return torch.tensor(torch.nan, dtype=torch.float64)
        counts = BLEUStatistics(
            tuple(self.matches.tolist()), tuple(self.totals.tolist()), preds_length, target_length
        )
        return torch.tensor(bleu_score(counts), dtype=torch.float64)
