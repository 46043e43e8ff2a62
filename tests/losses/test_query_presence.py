"""Presence read off the personal queries."""

import math

import pytest
import torch

from pvchat.losses import PresenceLoss


def test_value_and_gradient_equal_the_formula() -> None:
    logits = torch.tensor([[2.0, -1.0], [0.5, 9.0]], requires_grad=True)
    present = torch.tensor([[True, True], [False, False]])
    counted = torch.tensor([[True, True], [True, False]])
    loss = PresenceLoss(weight=0.5)(logits, present, counted)
    each = [
        -math.log(p) if t else -math.log(1 - p)
        for p, t in zip(logits[counted].sigmoid().tolist(), present[counted], strict=True)
    ]
    assert loss.item() == pytest.approx(0.5 * sum(each) / 3, rel=1e-6)
    loss.backward()
    expected = 0.5 * (logits.detach().sigmoid() - present.float()) * counted / 3
    assert torch.allclose(logits.grad, expected, atol=1e-7)


def test_nobody_asked_about_costs_nothing() -> None:
    logits = torch.zeros(2, 1, requires_grad=True)
    nobody = torch.zeros(2, 1, dtype=torch.bool)
    loss = PresenceLoss()(logits, ~nobody, nobody)
    loss.backward()
    assert loss.item() == 0
    assert not logits.grad.any()
