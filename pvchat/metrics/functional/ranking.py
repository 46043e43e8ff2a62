"""How well presence scores order clips: AUC, FPR at 95 % TPR, balanced accuracy, and the best threshold.

A score is higher when the person is more likely there (the logit of "Yes" minus that of "No");
a clip counts as "yes" when its score is above the threshold, not at it.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from pvchat.errors import UserError

Scores = Tensor | Sequence[float]
Truths = Tensor | Sequence[bool]


def roc_auc(scores: Scores, target: Truths) -> float:
    """Share of (yes, no) pairs in the right order, ties counting half: the area under the ROC curve.

    ``scores`` (N,) finite, ``target`` (N,) True where the person is there. UserError without both kinds."""
    yes, no = _both_kinds(scores, target, "AUC")
    no = no.sort().values
    below = torch.searchsorted(no, yes, right=False) + torch.searchsorted(no, yes, right=True)
    return below.double().sum().item() / (2 * len(yes) * len(no))


def false_positive_rate(scores: Scores, target: Truths, *, recall: float = 0.95) -> float:
    """Share of "no" clips taken for the person where at least ``recall`` of the "yes" clips are found: the
    FPR at 95 % TPR. The operating point is that of these very clips, so it is no accuracy to be expected."""
    if not 0 < recall <= 1:
        raise UserError(f"recall must be in (0, 1]: got {recall}.")
    yes, no = _both_kinds(scores, target, "a false positive rate")
    found = math.ceil(recall * len(yes) - 1e-9)
    return (no >= yes.sort(descending=True).values[found - 1]).double().mean().item()


def balanced_accuracy(scores: Scores, target: Truths, *, threshold: float = 0.0) -> float:
    """Mean of the accuracies on "yes" and on "no" clips; a constant answer gets 0.5."""
    yes, no = _both_kinds(scores, target, "balanced accuracy")
    return ((yes > threshold).double().mean() + (no <= threshold).double().mean()).item() / 2


def calibrate_threshold(scores: Scores, target: Truths) -> float:
    """Threshold with the highest balanced accuracy, in the middle of the gap between two scores.

    Of equally good gaps the widest is taken, then the one nearest to 0. Where no gap beats a constant
    answer (scores all equal, or in the wrong order) it is the highest score, above which nothing lies.
    Give it training or validation material, never what it is then tested on."""
    yes, no = _both_kinds(scores, target, "a threshold")
    values = torch.unique(torch.cat([yes, no]))  # sorted
    middles = (values[:-1] + values[1:]) / 2
    candidates = torch.cat([middles, values[-1:]])
    widths = torch.cat([values.diff(), values.new_zeros(1)])
    hits = (yes[:, None] > candidates).double().mean(0) + (no[:, None] <= candidates).double().mean(0)
    best = zip(hits.round(decimals=12).tolist(), widths.tolist(), (-candidates.abs()).tolist(), strict=True)
    return candidates[max(enumerate(best), key=lambda item: item[1])[0]].item()


def scores_and_truths(scores: Scores, target: Truths) -> tuple[Tensor, Tensor]:
    """As tensors (N,), double and bool, on the CPU. UserError if they do not fit or a score is not finite."""
    scores = torch.as_tensor(scores, dtype=torch.float64).detach().cpu()
    target = torch.as_tensor(target).detach().cpu().bool()
    if scores.ndim != 1 or scores.shape != target.shape:
        raise UserError(
            "scores and target must be two lists of the same length: "
            f"got shapes {tuple(scores.shape)} and {tuple(target.shape)}."
        )
    if not scores.isfinite().all():
        raise UserError(f"scores must be finite: got {int((~scores.isfinite()).sum())} nan or inf.")
    return scores, target


def _both_kinds(scores: Scores, target: Truths, what: str) -> tuple[Tensor, Tensor]:
    """Scores of the "yes" and of the "no" clips, in double precision."""
    scores, target = scores_and_truths(scores, target)
    if len(target) == 0 or target.all() or not target.any():
        count = int(target.sum())
        raise UserError(
            f"{what} needs clips with and without the person: "
            f"got {count} with and {len(target) - count} without."
        )
    return scores[target], scores[~target]
