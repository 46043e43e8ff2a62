"""Trainable rows for new tokens, beside the frozen vocabulary."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pvchat.errors import UserError


class TokenRows(nn.Module):
    """Input and output rows of ``num_rows`` new tokens; token ``vocab_size + r`` reads and writes row ``r``.

    The rows are parameters of their own, so the base table is neither resized nor masked: the optimizer
    owns the rows whole (never a slice of a table, which would be a detached copy) and weight decay cannot
    drift old tokens. Always float32: small steps are lost in half precision.
    """

    def __init__(self, num_rows: int, width: int) -> None:
        super().__init__()
        if num_rows < 0 or width < 1:
            raise UserError(f"num_rows must be >= 0 and width > 0: got num_rows={num_rows}, width={width}.")
        self.input_rows = nn.Parameter(torch.zeros(num_rows, width, dtype=torch.float32))
        self.output_rows = nn.Parameter(torch.zeros(num_rows, width, dtype=torch.float32))

    @property
    def num_rows(self) -> int:
        return self.input_rows.shape[0]

    def embed(self, ids: Tensor, base_embedding: Callable[[Tensor], Tensor], vocab_size: int) -> Tensor:
        """Embed ``ids`` (B, S), those from ``vocab_size`` on with the rows: (B, S, D) float32."""
        if self.num_rows == 0:
            return base_embedding(ids).float()
        is_row = ids >= vocab_size
        base = base_embedding(ids.masked_fill(is_row, 0)).float()
        rows = F.embedding((ids - vocab_size).clamp(min=0), self.input_rows)
        return torch.where(is_row.unsqueeze(-1), rows, base)

    def logits(self, hidden: Tensor, base_head: Callable[[Tensor], Tensor]) -> Tensor:
        """Scores of the whole vocabulary, new tokens last: (..., D) -> (..., V + R) float32."""
        return torch.cat([base_head(hidden).float(), F.linear(hidden.float(), self.output_rows)], dim=-1)


@torch.no_grad()
def initial_rows(
    table: Tensor, num_rows: int, *, noise: float = 0.1, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Where input and output rows start, given the base ``table`` (V, D).

    Input rows: the mean row plus ``noise`` times the spread, so that new tokens look like words and differ.
    Output rows: zero, so that no new token wins an argmax at step 0. ``generator`` is on the CPU."""
    mean, spread = table.float().mean(0), table.float().std(0)
    draw = torch.randn(num_rows, table.shape[1], generator=generator).to(table.device)
    return mean + noise * spread * draw, torch.zeros_like(draw)
