"""Cross-entropy on the tokens of answers."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pvchat.errors import UserError
from pvchat.processes import total
from pvchat.prompts import IGNORE


class AnswerCrossEntropy(nn.Module):
    """Weighted mean over supervised tokens of all processes; the first token of an answer, where yes and no
    part, weighs ``first_token_weight``. Zero when nothing is supervised."""

    def __init__(self, *, first_token_weight: float = 1.0) -> None:
        super().__init__()
        if first_token_weight <= 0:
            raise UserError(f"first_token_weight must be > 0: got {first_token_weight}.")
        self.first_token_weight = first_token_weight

    def forward(self, logits: Tensor, labels: Tensor, first: Tensor) -> Tensor:
        """logits (N, V), labels (N,) with -100 where not supervised, first (N,) bool -> scalar."""
        losses = F.cross_entropy(logits.float(), labels, ignore_index=IGNORE, reduction="none")
        supervised = (labels != IGNORE).to(losses.dtype)
        weights = torch.where(first, self.first_token_weight, 1.0) * supervised
        whole = total(weights.sum()).clamp(min=torch.finfo(losses.dtype).tiny)
        return total((weights * losses).sum()) / whole
