"""Random routings for the tests of losses."""

from collections.abc import Callable

import pytest
import torch

from pvchat.routing import Routing

MakeRouting = Callable[..., Routing]


@pytest.fixture
def make_routing() -> MakeRouting:
    """ReMoH routing of (B, L, Hr) logits, drawn with ``mean`` unless given; a third of the tokens masked."""

    def make(logits: torch.Tensor | None = None, *, mean: float = 0.0, masked: bool = True) -> Routing:
        if logits is None:
            logits = (mean + 2 * torch.randn(3, 5, 4)).requires_grad_()
        scores = logits.clamp(-1, 10).relu()
        mask = torch.rand(logits.shape[:2]) > 1 / 3 if masked else None
        return Routing(scores, logits, scores > 0, torch.cat([scores, scores], -1), mask)

    return make
