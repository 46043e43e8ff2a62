"""Multi-head attention in which every head is always used (paper, eq. 1-3)."""

from torch import Tensor

from pvchat.modules.attention.base import Attention, AttentionOutput, MultiHead


class DenseAttention(Attention):
    """The baseline without routing."""

    def __init__(self, width: int, context_width: int, *, num_heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads = MultiHead(width, context_width, num_heads=num_heads, dropout=dropout)

    def forward(
        self, x: Tensor, context: Tensor | None = None, mask: Tensor | None = None
    ) -> AttentionOutput:
        return AttentionOutput(self.heads(x, context, mask))
