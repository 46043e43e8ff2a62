"""Are presence scores probabilities? Thin class over ``functional.calibration``."""

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from pvchat.metrics.functional.calibration import (
    ReliabilityBins,
    brier_score,
    expected_calibration_error,
    reliability_bins,
)
from pvchat.metrics.functional.ranking import Scores, Truths


class PresenceCalibration(Metric):
    """``ece`` and ``brier`` of ``sigmoid((score - threshold) / temperature)``; nan before the first clip.

    ``bins()`` is what a reliability diagram shows. Keeps sums only, which add up over
    batches and processes."""

    is_differentiable = False
    higher_is_better = False
    full_state_update = False
    total: Tensor
    probability: Tensor
    present: Tensor
    squares: Tensor

    def __init__(
        self, *, num_bins: int = 10, threshold: float = 0.0, temperature: float = 1.0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        reliability_bins([], [], num_bins=num_bins, temperature=temperature)  # refuses what makes no sense
        self.num_bins, self.threshold, self.temperature = num_bins, threshold, temperature
        sizes = {**dict.fromkeys(ReliabilityBins._fields, (num_bins,)), "squares": ()}
        for name, size in sizes.items():
            self.add_state(name, default=torch.zeros(size, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, scores: Scores, target: Truths) -> None:
        """Add clips: ``scores`` (N,), ``target`` (N,) True where the person is there."""
        if len(scores) == 0:
            return
        shift = {"threshold": self.threshold, "temperature": self.temperature}
        bins = reliability_bins(scores, target, num_bins=self.num_bins, **shift)
        self.total += bins.total.to(self.device)
        self.probability += bins.probability.to(self.device)
        self.present += bins.present.to(self.device)
        self.squares += brier_score(scores, target, **shift) * len(scores)

    def compute(self) -> dict[str, Tensor]:
        return {
            "ece": torch.tensor(expected_calibration_error(self.bins()), dtype=torch.float64),
            "brier": self.squares / self.total.sum(),
        }

    def bins(self) -> ReliabilityBins:
        """Of this process; of all of them inside ``sync_context()``."""
        return ReliabilityBins(self.total, self.probability, self.present)
