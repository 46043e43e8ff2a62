"""ReLU-routed mixture of heads (paper, section 3.3.1): a token uses the routed heads that score above 0."""

from typing import Literal

import torch
from torch import Tensor, nn

from pvchat.modules.attention.base import (
    Attention,
    AttentionOutput,
    MultiHead,
    check_shared,
    linear,
    linear_fp32,
)
from pvchat.routing import Routing

Start = Literal["identity", "released"]


class ReMoHAttention(Attention):
    """Fully differentiable routing: how many routed heads a token uses is learned, not set.

    ``init="identity"``: at the start every head weighs exactly 1, so a pretrained dense layer is continued,
    not disturbed. ``init="released"``: the form of the released code, which halves the layer's function."""

    def __init__(
        self,
        width: int,
        context_width: int,
        *,
        num_heads: int,
        num_shared_heads: int,
        init: Start = "identity",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        num_routed_heads = check_shared(num_shared_heads, num_heads)
        self.heads = MultiHead(width, context_width, num_heads=num_heads, dropout=dropout)
        self.router = ReMoHRouter(width, num_shared_heads, num_routed_heads, init)

    def forward(
        self, x: Tensor, context: Tensor | None = None, mask: Tensor | None = None
    ) -> AttentionOutput:
        routing: Routing = self.router(x)
        return AttentionOutput(self.heads(x, context, mask, routing.head_weights), routing)


class ReMoHRouter(nn.Module):
    """x (B, L, D) -> Routing. ``w = c [a1 .. a1, a2 g]`` (paper, eq. 5-6) with
    ``g = relu(clamp(W_r x + b, -1, 10))`` and ``a = softmax(clamp(W_a x, -1, 1))``.

    Identity start: ``c = 2, W_r = 0, b = 1, W_a = 0``. Released: ``c = 1``; its routers were left as
    uninitialised memory, here they are drawn (std .02), so about half the routed heads are active."""

    def __init__(self, width: int, num_shared_heads: int, num_routed_heads: int, init: Start) -> None:
        super().__init__()
        self.num_shared_heads = num_shared_heads
        self.scale = 2.0 if init == "identity" else 1.0
        self.routed = linear(width, num_routed_heads)
        self.balance = linear(width, 2, bias=False)
        if init == "identity":
            nn.init.zeros_(self.routed.weight)
            nn.init.ones_(self.routed.bias)
            nn.init.zeros_(self.balance.weight)

    def forward(self, x: Tensor) -> Routing:
        logits = linear_fp32(self.routed, x)
        scores = logits.clamp(-1.0, 10.0).relu()
        balance = self.scale * linear_fp32(self.balance, x).clamp(-1.0, 1.0).softmax(-1)  # (B, L, 2)
        shared = balance[..., :1].expand(*x.shape[:-1], self.num_shared_heads)
        weights = torch.cat([shared, balance[..., 1:] * scores], -1)
        return Routing(scores, logits, scores > 0, weights)
