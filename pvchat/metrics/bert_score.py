"""BERTScore of the answers of a run: thin class over ``functional.bert_score``."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from pvchat.metrics.functional.bert_score import TextEncoder, bert_scores


class BERTScore(Metric):
    """Mean precision, recall and F1 over all answers seen; nan before the first.

    The ``encoder`` is part of the names, as in ``bertscore_roberta-large_f1``: numbers are comparable only
    where ``signature`` is the same. Keeps sums only, which add up over batches and processes."""

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    sums: Tensor
    total: Tensor

    def __init__(self, *, encoder: TextEncoder, batch_size: int = 64, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.encoder, self.batch_size, self.signature = encoder, batch_size, encoder.signature
        self.add_state("sums", default=torch.zeros(3, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("total", default=torch.tensor(0), dist_reduce_fx="sum")

    def update(self, preds: Sequence[str], target: Sequence[str]) -> None:
        """Add answers ``preds`` (N) and their references ``target`` (N)."""
        scores = bert_scores(preds, target, self.encoder, batch_size=self.batch_size, device=self.device)
        self.sums += scores.sum(0).to(self.device)
        self.total += len(scores)

    def compute(self) -> dict[str, Tensor]:
        means = self.sums / self.total
        names = (f"bertscore_{self.encoder.name}_{part}" for part in ("precision", "recall", "f1"))
        return dict(zip(names, means, strict=True))
