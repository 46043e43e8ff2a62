"""What a routed attention module reports: which heads were used, by which token, and how much.

A contract between modules (which produce it), losses and callbacks (which read it).
Axes: B batch, L tokens on the query side, H heads, Hr routed heads (the last Hr of the H).
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pvchat.processes import total


@dataclass(frozen=True)
class Routing:
    """Routing of one attention module, in fp32.

    ``scores`` (B, L, Hr) >= 0: weights of the routed heads before mixing (MoH: softmax probabilities).
    ``logits`` (B, L, Hr): router outputs before clamp and ReLU (MoH: before the softmax).
    ``routing_map`` (B, L, Hr) bool: the head is used by the token.
    ``head_weights`` (B, L, H): final weights of all heads, shared heads first.
    ``mask`` (B, L) bool: the token counts; None when all do. Queries of persons not asked about don't."""

    scores: Tensor
    logits: Tensor
    routing_map: Tensor
    head_weights: Tensor
    mask: Tensor | None = None

    @property
    def active_rate(self) -> Tensor:
        """Share of (token, routed head) pairs in use, over counted tokens of all processes; a scalar."""
        return self.per_head(self.routing_map).mean()

    @property
    def sparsity(self) -> Tensor:
        return 1.0 - self.active_rate

    @property
    def routed_share(self) -> Tensor:
        """Share of the weight of all heads that routed ones have, over counted tokens; a scalar. A head in
        use may weigh next to nothing, which the active rate does not tell."""
        weights = self.per_head(self.head_weights)
        return weights[-self.logits.shape[-1] :].sum() / weights.sum()

    def joined(self, passes: int) -> "Routing":
        """The V ``passes`` of a clip as one row: (B * V, L, ..) -> (B, V * L, ..)."""

        def join(values: Tensor) -> Tensor:
            return values.reshape(-1, passes * values.shape[1], *values.shape[2:])

        return replace(
            self,
            scores=join(self.scores),
            logits=join(self.logits),
            routing_map=join(self.routing_map),
            head_weights=join(self.head_weights),
            mask=None if self.mask is None else join(self.mask),
        )

    def per_head(self, values: Tensor) -> Tensor:
        """Mean of ``values`` (B, L, Hr) over the counted tokens of all processes: (Hr,). Zero when no token
        counts."""
        values = values.to(self.logits.dtype)
        if self.mask is None:
            count = torch.tensor(float(values[..., 0].numel()), device=values.device)
        else:
            values = values.masked_fill(~self.mask.unsqueeze(-1), 0.0)
            count = self.mask.sum().to(values.dtype)
        return total(values.sum((0, 1))) / total(count).clamp(min=1)
