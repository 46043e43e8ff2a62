"""The transformer block of InternVideo2."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pvchat.errors import UserError


class Block(nn.Module):
    """Pre-norm transformer block whose two updates are scaled per channel, and left out by drop path."""

    def __init__(self, width: int, *, num_heads: int, mlp_width: int, drop_path: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = RMSNorm(width), RMSNorm(width)
        self.attention = SelfAttention(width, num_heads=num_heads)
        self.mlp = nn.Sequential(nn.Linear(width, mlp_width), nn.GELU(), nn.Linear(mlp_width, width))
        self.scale1 = nn.Parameter(torch.empty(width))
        self.scale2 = nn.Parameter(torch.empty(width))
        self.drop_path = drop_path

    def forward(self, x: Tensor) -> Tensor:
        """(N, L, D) -> (N, L, D)."""
        x = x + self._drop(self.scale1 * self.attention(self.norm1(x)))
        return x + self._drop(self.scale2 * self.mlp(self.norm2(x)))

    def _drop(self, update: Tensor) -> Tensor:
        if not self.training or not self.drop_path:
            return update
        keep = 1.0 - self.drop_path
        return update * update.new_empty(len(update), 1, 1).bernoulli_(keep) / keep


class SelfAttention(nn.Module):
    """Multi-head attention; queries and keys are normalised over all heads together."""

    def __init__(self, width: int, *, num_heads: int) -> None:
        super().__init__()
        if num_heads < 1 or width % num_heads:
            raise UserError(f"num_heads must divide width: got num_heads={num_heads}, width={width}.")
        self.num_heads = num_heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.query_norm, self.key_norm = RMSNorm(width), RMSNorm(width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(N, L, D) -> (N, L, D)."""
        query, key, value = self.qkv(x).chunk(3, -1)
        heads = F.scaled_dot_product_attention(
            *(
                t.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)  # (N, H, L, d)
                for t in (self.query_norm(query), self.key_norm(key), value)
            )
        )
        output: Tensor = self.out_proj(heads.transpose(1, 2).flatten(2))
        return output


class RMSNorm(nn.Module):
    """Root mean square norm, computed in float32 and given back in the type of the input."""

    def __init__(self, width: int, *, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.empty(width)), eps

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x.float(), x.shape[-1:], self.weight.float(), self.eps).to(x.dtype)
