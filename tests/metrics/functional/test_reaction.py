"""AUC of heads against scikit-learn, the held-out one against loops."""

import pytest
import torch
from sklearn.metrics import roc_auc_score

from pvchat.errors import UserError
from pvchat.metrics.functional.reaction import head_auc, held_out_auc


def by_loops(weights: torch.Tensor, present: torch.Tensor) -> float:
    """Leave-pair-out with scikit-learn's AUC of what is left."""
    said = []
    for i in present.nonzero().flatten().tolist():
        for j in (~present).nonzero().flatten().tolist():
            left = [k for k in range(len(present)) if k not in (i, j)]
            aucs = [roc_auc_score(present[left], weights[left, h]) - 0.5 for h in range(weights.shape[1])]
            h = max(range(len(aucs)), key=lambda n: abs(aucs[n]))
            order = torch.sign((weights[i, h] - weights[j, h]) * aucs[h]).item()
            said.append((order + 1) / 2)
    return sum(said) / len(said)


def clips(*, shift: float, heads: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    present = torch.arange(14) % 2 == 0
    weights = torch.rand(14, heads, generator=generator).mul(8).round()  # with ties
    weights[present, -1] += shift
    return weights, present


def test_auc_of_each_head() -> None:
    weights, present = clips(shift=2)
    expected = [roc_auc_score(present, weights[:, h]) for h in range(4)]
    assert head_auc(weights, present).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("shift", [-8.0, -2.0, 0.0, 1.0, 4.0])
def test_held_out_auc_by_loops(shift: float) -> None:
    weights, present = clips(shift=shift)
    assert held_out_auc(weights, present) == pytest.approx(by_loops(weights, present))


def test_a_head_that_falls_silent_reacts_as_much() -> None:
    weights, present = clips(shift=-20)
    assert held_out_auc(weights, present) == 1.0


def test_heads_that_never_change_do_not_react() -> None:
    present = torch.tensor([True, True, False, False])
    assert held_out_auc(torch.ones(4, 3), present) == 0.5


def test_the_choice_among_many_heads_is_not_rewarded() -> None:
    """The best of 200 heads of noise looks good on the clips that chose it, and is not."""
    generator = torch.Generator().manual_seed(1)
    present = torch.arange(12) < 6
    drawn = [torch.rand(12, 200, generator=generator) for _ in range(20)]
    best = [(head_auc(w, present) - 0.5).abs().max().item() + 0.5 for w in drawn]
    held_out = [held_out_auc(w, present) for w in drawn]
    assert min(best) > 0.85
    assert abs(sum(held_out) / len(held_out) - 0.5) < 0.1


def test_one_clip_of_a_kind_is_refused() -> None:
    with pytest.raises(UserError, match="two clips with the person and two without: got 1 and 3"):
        held_out_auc(torch.rand(4, 2), torch.tensor([True, False, False, False]))
