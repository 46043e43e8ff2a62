"""Mixture-of-Head attention (Jin et al. 2024): shared heads, and the top k of the others for each token."""

import torch
from torch import Tensor, nn

from pvchat.errors import UserError
from pvchat.modules.attention.base import (
    Attention,
    AttentionOutput,
    MultiHead,
    check_shared,
    linear,
    linear_fp32,
)
from pvchat.routing import Routing


class MoHAttention(Attention):
    """Top-k routing with softmax scores.

    The first ``num_shared_heads`` heads are always used, each token adds the ``top_k`` best of the others.
    Weights are scaled such that a zero router with all routed heads in use is dense attention."""

    def __init__(
        self,
        width: int,
        context_width: int,
        *,
        num_heads: int,
        num_shared_heads: int,
        top_k: int,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        num_routed_heads = check_shared(num_shared_heads, num_heads)
        if not 0 < top_k <= num_routed_heads:
            raise UserError(
                f"top_k must be in [1, {num_routed_heads}], the number of routed heads: got {top_k}."
            )
        self.heads = MultiHead(width, context_width, num_heads=num_heads, dropout=dropout)
        self.router = MoHRouter(width, num_shared_heads, num_routed_heads, top_k)

    def forward(
        self, x: Tensor, context: Tensor | None = None, mask: Tensor | None = None
    ) -> AttentionOutput:
        routing: Routing = self.router(x)
        return AttentionOutput(self.heads(x, context, mask, routing.head_weights), routing)


class MoHRouter(nn.Module):
    """x (B, L, D) -> Routing. ``w = [a1 * s, a2 * r]`` with ``p = softmax(W_r x)`` over routed heads,
    ``r = k p m / sum(p m)`` (m: top k), ``s = Hs softmax(W_s x)``, ``a = 2 softmax(W_h x)``. No biases.
    One shared head has the weight 1 and needs no W_s."""

    def __init__(self, width: int, num_shared_heads: int, num_routed_heads: int, top_k: int) -> None:
        super().__init__()
        self.num_shared_heads, self.top_k = num_shared_heads, top_k
        self.routed = linear(width, num_routed_heads, bias=False)
        self.shared = linear(width, num_shared_heads, bias=False) if num_shared_heads > 1 else None
        self.balance = linear(width, 2, bias=False)

    def forward(self, x: Tensor) -> Routing:
        logits = linear_fp32(self.routed, x)
        scores = logits.softmax(-1)
        chosen = scores.detach().topk(self.top_k).indices
        routing_map = torch.zeros_like(scores, dtype=torch.bool).scatter(-1, chosen, True)
        kept = scores * routing_map
        routed = self.top_k * kept / kept.sum(-1, keepdim=True)
        balance = 2 * linear_fp32(self.balance, x).softmax(-1)  # (B, L, 2)
        shared = balance[..., :1]
        if self.shared is not None:
            shared = shared * self.num_shared_heads * linear_fp32(self.shared, x).softmax(-1)
        return Routing(scores, logits, routing_map, torch.cat([shared, balance[..., 1:] * routed], -1))
