"""Head Activation Enhancement (HAE; paper, eq. 10): too few active heads cost exponentially much."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from pvchat.errors import UserError
from pvchat.routing import Routing


class HeadActivation(nn.Module):
    """``weight * (exp(2 (R - target)) - 1)`` where sparsity R exceeds ``target``, else 0; mean over modules.

    R counts heads, and a count has no gradient (in the released code dead heads stay dead for good). So the
    value is the count's, the gradient that of a soft count ``(1 + z / (1 + |z|)) / 2`` of the router's logits
    z, taken before clamp and ReLU. Its tail falls as 1 / z^2: however dead a head is, it can wake up."""

    def __init__(self, *, target: float = 0.5, weight: float = 0.5) -> None:
        super().__init__()
        if not 0 <= target < 1:
            raise UserError(f"target sparsity must be in [0, 1): got {target}.")
        self.target, self.weight = target, weight

    def forward(self, routings: Mapping[str, Routing]) -> Tensor:
        """Scalar; zero without routed modules."""
        if not routings:
            return torch.zeros(())
        excess = torch.stack([1.0 - _active_rate(r) for r in routings.values()]) - self.target
        return self.weight * torch.expm1(2.0 * excess.relu()).mean()


def _active_rate(routing: Routing) -> Tensor:
    """The active rate, with the gradient of a soft one."""
    z = routing.logits
    soft = 0.5 + 0.5 * z / (1.0 + z.abs())
    return routing.per_head(routing.routing_map + (soft - soft.detach())).mean()
