"""Does an answer say who is there? Thin class over ``functional.presence``."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from pvchat.metrics.functional.presence import presence_counts


class PresenceAccuracy(Metric):
    """Share of (answer, person) pairs that are said right, the paper's Acc; an unparsed pair is a wrong one.

    ``compute`` gives ``accuracy``, ``accuracy_yes`` and ``accuracy_no`` (where the person is there, and is
    not), their mean ``balanced_accuracy``, which a constant answer cannot raise above 0.5, and the number
    ``unparsed``. A share of nothing is nan. Keeps counts only, which add up over batches and processes."""

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    right: Tensor
    total: Tensor
    unparsed: Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for name in ("right", "total", "unparsed"):
            self.add_state(name, default=torch.zeros(2, dtype=torch.long), dist_reduce_fx="sum")

    def update(
        self,
        preds: Sequence[str],
        target: Sequence[bool | Mapping[str, bool]],
        names: Sequence[Sequence[str]],
    ) -> None:
        """Add answers, the truth, and the persons asked about, as ``presence_counts`` takes them."""
        counts = presence_counts(preds, target, names)
        self.right += counts.right.to(self.device)
        self.total += counts.total.to(self.device)
        self.unparsed += counts.unparsed.to(self.device)

    def compute(self) -> dict[str, Tensor]:
        right, total = self.right.double(), self.total.double()
        no, yes = right / total
        return {
            "accuracy": right.sum() / total.sum(),
            "balanced_accuracy": (yes + no) / 2,
            "accuracy_yes": yes,
            "accuracy_no": no,
            "unparsed": self.unparsed.sum().double(),
        }
