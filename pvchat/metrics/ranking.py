"""How well presence scores order the clips of a run: thin class over ``functional.ranking``."""

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from pvchat.metrics.functional.ranking import (
    Scores,
    Truths,
    balanced_accuracy,
    false_positive_rate,
    roc_auc,
)


class PresenceRanking(Metric):
    """``auc``, ``fpr95`` (share of "no" clips taken for the person where 95 % of the "yes" clips are found),
    ``balanced_accuracy`` at 0, and ``balanced_accuracy_calibrated`` at ``threshold`` if given.

    All scores are kept, as an AUC has no smaller statistic. A number that needs both kinds of clips is nan
    while only one was seen, so that a short validation epoch does not end a run."""

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    scores: list[Tensor]
    target: list[Tensor]

    def __init__(self, *, threshold: float | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.threshold = threshold
        self.add_state("scores", default=[], dist_reduce_fx="cat")
        self.add_state("target", default=[], dist_reduce_fx="cat")

    def update(self, scores: Scores, target: Truths) -> None:
        """Add clips: ``scores`` (N,), ``target`` (N,) True where the person is there."""
        self.scores.append(torch.as_tensor(scores, dtype=torch.float64, device=self.device).detach())
        self.target.append(torch.as_tensor(target, device=self.device).bool())

    def compute(self) -> dict[str, Tensor]:
        scores, target = _joined(self.scores), _joined(self.target).bool()
        defined = bool(target.any()) and not bool(target.all())
        numbers = {
            "auc": roc_auc(scores, target) if defined else torch.nan,
            "fpr95": false_positive_rate(scores, target) if defined else torch.nan,
            "balanced_accuracy": balanced_accuracy(scores, target) if defined else torch.nan,
        }
        if self.threshold is not None:
            numbers["balanced_accuracy_calibrated"] = (
                balanced_accuracy(scores, target, threshold=self.threshold) if defined else torch.nan
            )
        return {name: torch.tensor(value, dtype=torch.float64) for name, value in numbers.items()}


def _joined(state: list[Tensor] | Tensor) -> Tensor:
    """A list state, or the one tensor that it is after synchronisation."""
    if isinstance(state, Tensor):
        return state
    return torch.cat(state) if state else torch.empty(0, dtype=torch.float64)
