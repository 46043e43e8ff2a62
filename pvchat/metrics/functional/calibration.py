"""Do presence scores mean what they say? Reliability bins, expected calibration error (ECE), Brier score.

A score is the logit of "Yes" minus that of "No"; ``sigmoid((score - threshold) / temperature)`` is the
probability that the person is there. By default that is the model's own; a threshold or temperature fitted on
validation material shows what is left after the repair.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from pvchat.errors import UserError
from pvchat.metrics.functional.ranking import Scores, Truths, scores_and_truths


class ReliabilityBins(NamedTuple):
    """Sums over clips, all (num_bins,) in double precision: how many they are, their probabilities, and how
    often the person is there. They add up over parts of a run.

    Bin i of n holds probabilities in (i/n, (i+1)/n], the first one 0 too."""

    total: Tensor
    probability: Tensor
    present: Tensor

    @property
    def mean_probability(self) -> Tensor:
        """x of a reliability diagram; nan where a bin is empty."""
        return self.probability / self.total

    @property
    def share_present(self) -> Tensor:
        """y of a reliability diagram; nan where a bin is empty."""
        return self.present / self.total


def presence_probability(scores: Scores, *, threshold: float = 0.0, temperature: float = 1.0) -> Tensor:
    """Scores (N,) -> probabilities (N,). UserError unless ``temperature`` > 0."""
    if not temperature > 0:
        raise UserError(f"temperature must be > 0: got {temperature}.")
    return ((torch.as_tensor(scores, dtype=torch.float64) - threshold) / temperature).sigmoid()


def reliability_bins(
    scores: Scores,
    target: Truths,
    *,
    num_bins: int = 10,
    threshold: float = 0.0,
    temperature: float = 1.0,
) -> ReliabilityBins:
    """Bins of equal width. ``scores`` (N,) finite, ``target`` (N,) True where they are there; N may be 0."""
    if num_bins < 1:
        raise UserError(f"num_bins must be >= 1: got {num_bins}.")
    scores, target = scores_and_truths(scores, target)
    probability = presence_probability(scores, threshold=threshold, temperature=temperature)
    edges = torch.linspace(0, 1, num_bins + 1, dtype=torch.float64)[1:-1]
    place = torch.bucketize(probability, edges)
    return ReliabilityBins(
        *(
            torch.zeros(num_bins, dtype=torch.float64).index_add_(0, place, part)
            for part in (torch.ones_like(probability), probability, target.double())
        )
    )


def expected_calibration_error(bins: ReliabilityBins) -> float:
    """Mean over clips of ``|mean_probability - share_present|`` of their bin; nan without clips.

    Of the probability of presence, as in scikit-learn and torchmetrics, not of the top label (Guo et al.
    2017): so a model that says yes too often and one that says no too often both show."""
    return ((bins.probability - bins.present).abs().sum() / bins.total.sum()).item()


def brier_score(scores: Scores, target: Truths, *, threshold: float = 0.0, temperature: float = 1.0) -> float:
    """Mean squared distance of the probability from what is true (Brier 1950); 0.25 for always one half."""
    scores, target = scores_and_truths(scores, target)
    probability = presence_probability(scores, threshold=threshold, temperature=temperature)
    return (probability - target.double()).square().mean().item()
