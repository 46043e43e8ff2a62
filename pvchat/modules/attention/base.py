"""The interface of one attention layer, and the multi-head attention that all kinds share."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pvchat.errors import UserError
from pvchat.routing import Routing


@dataclass(frozen=True)
class AttentionOutput:
    """``output`` (B, Lq, D); ``routing`` is None where every head is always used."""

    output: Tensor
    routing: Routing | None = None


class Attention(nn.Module, ABC):
    """One attention layer. All kinds name their weights alike (``heads.*``; what routes is ``router.*``),
    so the weights of a dense layer load into a routed one."""

    @abstractmethod
    def forward(
        self, x: Tensor, context: Tensor | None = None, mask: Tensor | None = None
    ) -> AttentionOutput:
        """Attend from ``x`` (B, Lq, D) to ``context`` (B, Lk, Dk), to ``x`` itself when None. ``mask`` is
        True at the keys that are seen: (B, Lk), (B, Lq, Lk) or broadcastable to (B, H, Lq, Lk)."""


AttentionFactory = Callable[[int, int], Attention]
"""``(width, context_width)`` -> the attention of one layer."""


class MultiHead(nn.Module):
    """Scaled dot-product attention with a weight per token and head (paper, eq. 3-4)."""

    def __init__(self, width: int, context_width: int, *, num_heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        if num_heads < 1 or width % num_heads:
            raise UserError(f"num_heads must divide width: got num_heads={num_heads}, width={width}.")
        self.num_heads, self.dropout = num_heads, dropout
        self.query = linear(width, width)
        self.key = linear(context_width, width)
        self.value = linear(context_width, width)
        self.out_proj = linear(width, width)

    def forward(
        self, x: Tensor, context: Tensor | None, mask: Tensor | None, weights: Tensor | None = None
    ) -> Tensor:
        """``weights`` (B, Lq, H) scale the heads before the output projection; None means all 1."""
        context = x if context is None else context
        heads = self._attend(self.query(x), self.key(context), self.value(context), mask)  # (B, Lq, H, d)
        if weights is not None:
            heads = heads * weights.to(heads.dtype).unsqueeze(-1)
        output: Tensor = self.out_proj(heads.flatten(2))
        return output

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
        q, k, v = (t.view(*t.shape[:-1], self.num_heads, -1).transpose(1, 2) for t in (query, key, value))
        dropout = self.dropout if self.training else 0.0
        if mask is None:
            return F.scaled_dot_product_attention(q, k, v, dropout_p=dropout).transpose(1, 2)
        if mask.ndim < 4:
            mask = mask[:, None, None] if mask.ndim == 2 else mask[:, None]
        # A row without any key is 0/0 in some kernels: let it see everything, then drop what it saw.
        sees = mask.any(-1, keepdim=True)
        heads = F.scaled_dot_product_attention(q, k, v, attn_mask=mask | ~sees, dropout_p=dropout)
        return (heads * sees).transpose(1, 2)


def linear(in_features: int, out_features: int, *, bias: bool = True) -> nn.Linear:
    """A linear layer with BERT's initial state: weights normal with std .02, biases 0."""
    layer = nn.Linear(in_features, out_features, bias=bias)
    nn.init.normal_(layer.weight, std=0.02)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


def linear_fp32(layer: nn.Linear, x: Tensor) -> Tensor:
    """``layer(x)`` in fp32, whatever autocast and the weights' type are: routers decide in full precision."""
    with torch.autocast(x.device.type, enabled=False):
        return F.linear(x.float(), layer.weight.float(), None if layer.bias is None else layer.bias.float())


def check_shared(num_shared_heads: int, num_heads: int) -> int:
    """Number of routed heads, or UserError."""
    if not 0 < num_shared_heads < num_heads:
        raise UserError(
            f"num_shared_heads must be in (0, num_heads): got num_shared_heads={num_shared_heads}, "
            f"num_heads={num_heads}. For attention without routing use DenseAttention."
        )
    return num_heads - num_shared_heads
