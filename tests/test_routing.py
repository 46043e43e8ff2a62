"""Rates of a routing: over counted tokens only."""

from dataclasses import replace

import pytest
import torch

from pvchat.routing import Routing


def routing(mask: torch.Tensor | None) -> Routing:
    logits = torch.tensor([[[1.0, -1.0], [2.0, 3.0]], [[-1.0, -2.0], [0.0, 4.0]]])
    return Routing(logits.relu(), logits, logits > 0, torch.ones(2, 2, 3), mask)


def test_rates_over_all_tokens() -> None:
    assert routing(None).active_rate.item() == pytest.approx(4 / 8)
    assert routing(None).sparsity.item() == pytest.approx(4 / 8)
    assert routing(None).per_head(routing(None).scores).tolist() == pytest.approx([3 / 4, 7 / 4])


def test_rates_over_counted_tokens() -> None:
    counted = routing(torch.tensor([[True, False], [True, True]]))
    assert counted.active_rate.item() == pytest.approx(2 / 6)
    assert counted.sparsity.item() == pytest.approx(4 / 6)
    assert counted.per_head(counted.logits).tolist() == pytest.approx([0.0, 1 / 3])
    everything = routing(torch.ones(2, 2, dtype=torch.bool))
    assert everything.active_rate == routing(None).active_rate


def test_share_of_the_weight_that_routed_heads_have() -> None:
    """Two of three heads are routed; of the second token they have 3 of 4 parts, of the others 2 of 3."""
    weights = torch.ones(2, 2, 3)
    weights[0, 1, 1:] = 1.5
    mask = torch.tensor([[True, True], [True, False]])
    assert replace(routing(mask), head_weights=weights).routed_share.item() == pytest.approx(7 / 10)


def test_no_counted_token_is_no_division_by_zero() -> None:
    assert routing(torch.zeros(2, 2, dtype=torch.bool)).active_rate.item() == 0.0
