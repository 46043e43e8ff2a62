"""Presence read off the personal queries: gives them a signal before the language model can read them."""

import torch.nn.functional as F
from torch import Tensor, nn

from pvchat.processes import total


class PresenceLoss(nn.Module):
    """``weight`` times the binary cross-entropy of "is this person in the clip", for the persons asked about.

    Not in the paper: meant for short runs, in which a language model that starts to read visual tokens from
    nothing is helped by personal queries that already tell."""

    def __init__(self, *, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, logits: Tensor, present: Tensor, counted: Tensor) -> Tensor:
        """logits, present and counted (B, P), the latter bool -> scalar, the mean where ``counted``; zero for
        no person."""
        losses = F.binary_cross_entropy_with_logits(logits.float(), present.float(), reduction="none")
        return self.weight * total((losses * counted).sum()) / total(counted.sum()).clamp(min=1)
