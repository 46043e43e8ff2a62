"""Do answers name the true colour, place or action? Thin class over ``functional.naming``."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from pvchat.metrics.functional.naming import Vocabulary, naming_counts


class NamingAccuracy(Metric):
    """Share of answers that name the true value of a closed ``vocabulary`` and no other.

    ``compute`` gives ``accuracy``, the number of ``questions``, that of answers that name no value and so are
    wrong, ``unparsed``, and two levels of chance: ``majority``, what the best answer that ignores the clip
    reaches, and ``uniform``, one over the number of values. A share of nothing is nan. Keeps counts only,
    which add up over batches and processes."""

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    right: Tensor
    unparsed: Tensor
    total: Tensor

    def __init__(self, *, vocabulary: Vocabulary, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.vocabulary = {value: tuple(words) for value, words in vocabulary.items()}
        for name, size in (("right", ()), ("unparsed", ()), ("total", (len(self.vocabulary),))):
            self.add_state(name, default=torch.zeros(size, dtype=torch.long), dist_reduce_fx="sum")

    def update(self, preds: Sequence[str], target: Sequence[str]) -> None:
        """Add answers ``preds`` (N) and their references ``target`` (N)."""
        counts = naming_counts(preds, target, self.vocabulary)
        self.right += counts.right.to(self.device)
        self.unparsed += counts.unparsed.to(self.device)
        self.total += counts.total.to(self.device)

    def compute(self) -> dict[str, Tensor]:
        total = self.total.double()
        most = total.max() if len(total) else total.sum()
        return {
            "accuracy": self.right / total.sum(),
            "unparsed": self.unparsed.double(),
            "questions": total.sum(),
            "majority": most / total.sum(),
            "uniform": torch.tensor(1 / len(total) if len(total) else torch.nan, dtype=torch.float64),
        }
