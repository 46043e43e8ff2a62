"""Do heads react to a person? How well the weight of a head tells clips with the person from others."""

import torch
from torch import Tensor

from pvchat.errors import UserError


def head_auc(weights: Tensor, present: Tensor) -> Tensor:
    """Chance that a head weighs more in a clip with the person than in one without (H,); ties count half.
    .5: the head does not react. ``weights`` (N, H) of clips, ``present`` (N,) bool."""
    return _comparisons(weights, present).mean(dim=(1, 2))


def held_out_auc(weights: Tensor, present: Tensor) -> float:
    """AUC of the head that reacts most, unbiased by the choice among heads.

    Each pair of a clip with and one without the person is ordered by the head, and the sign, that order all
    other pairs of other clips best (leave-pair-out, Airola et al. 2011). The first of equal heads is taken.
    Raises :class:`~pvchat.errors.UserError` with fewer than two clips of a kind."""
    c = _comparisons(weights, present)
    _, p, a = c.shape
    if min(p, a) < 2:
        raise UserError(
            "reaction of heads needs two clips with the person and two without: "
            f"got {p} and {a}. Test on more clips."
        )
    rest = c.sum((1, 2), keepdim=True) - c.sum(2, keepdim=True) - c.sum(1, keepdim=True) + c
    others = rest / ((p - 1) * (a - 1)) - 0.5  # (H, P, A): of what is left without both clips
    best = others.abs().argmax(dim=0, keepdim=True)
    said = torch.where(others.gather(0, best) < 0, 1 - c.gather(0, best), c.gather(0, best))
    # a head that orders nothing else says nothing about this pair
    return float(torch.where(others.gather(0, best) == 0, 0.5, said).mean())


def _comparisons(weights: Tensor, present: Tensor) -> Tensor:
    """(H, P, A): 1 where the clip with the person has more weight, 0 where less, .5 where equal."""
    on, off = weights[present].double().T, weights[~present].double().T
    return (torch.sign(on.unsqueeze(2) - off.unsqueeze(1)) + 1) / 2
