"""Load balance of top-k routing (MoH; Jin et al. 2024): the routed heads should be used alike."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from pvchat.routing import Routing


class LoadBalance(nn.Module):
    """``weight * E * sum_i mean(p_i) mean(m_i)``, mean over modules: p are the probabilities of the E routed
    heads, m is 1 where a token uses the head (no gradient)."""

    def __init__(self, *, weight: float = 0.01) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, routings: Mapping[str, Routing]) -> Tensor:
        """Scalar; zero without routed modules."""
        if not routings:
            return torch.zeros(())
        losses = [
            r.scores.shape[-1] * (r.per_head(r.scores) * r.per_head(r.routing_map)).sum()
            for r in routings.values()
        ]
        return self.weight * torch.stack(losses).mean()
