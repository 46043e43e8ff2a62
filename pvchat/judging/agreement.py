"""How far two judges agree on the same items."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pvchat.errors import UserError
from pvchat.judging.items import Rating

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Agreement:
    """Over ``items`` that both judges scored; ``left_out`` lack a score of one. ``exact`` and ``within_one``
    are shares. ``kappa`` is Cohen's with quadratic weights, ``spearman`` the rank correlation with ties;
    both are nan where they are not defined, as for a judge who gives everybody the same."""

    items: int
    left_out: int
    exact: float
    within_one: float
    kappa: float
    spearman: float


def agreement(first: Sequence[Rating], second: Sequence[Rating]) -> Agreement:
    """Raises UserError where the two do not rate the same items in the same order."""
    if [rating.id for rating in first] != [rating.id for rating in second]:
        raise UserError(
            "two judges must rate the same items in the same order: "
            f"got {len(first)} and {len(second)} ratings whose ids differ. Rate one list of items with both."
        )
    both = [
        (a.score, b.score)
        for a, b in zip(first, second, strict=True)
        if a.score is not None and b.score is not None
    ]
    x, y = np.array(both, dtype=np.float64).reshape(-1, 2).T
    distance = np.abs(x - y)
    return Agreement(
        items=len(both),
        left_out=len(first) - len(both),
        exact=_share(distance == 0),
        within_one=_share(distance <= 1),
        kappa=quadratic_kappa(x, y),
        spearman=_correlation(_ranks(x), _ranks(y)),
    )


def quadratic_kappa(x: Scores, y: Scores) -> float:
    """Cohen's kappa with quadratic weights of ``x`` and ``y`` (N,): one minus the mean squared distance of
    pairs over that of any x with any y. It needs no list of labels, and scores need not be whole."""
    by_chance = x.var() + y.var() + (x.mean() - y.mean()) ** 2 if len(x) else 0.0
    return float(1 - ((x - y) ** 2).mean() / by_chance) if by_chance else float("nan")


def _correlation(x: Scores, y: Scores) -> float:
    if len(x) < 2 or not x.std() or not y.std():
        return float("nan")
    return float(np.corrcoef(x, y)[0, 1])


def _ranks(x: Scores) -> Scores:
    """Ranks from 1; equal values share the mean of theirs."""
    ordered = np.sort(x)
    return (np.searchsorted(ordered, x, "left") + np.searchsorted(ordered, x, "right") + 1) / 2


def _share(hits: npt.NDArray[np.bool_]) -> float:
    return float(hits.mean()) if len(hits) else float("nan")
