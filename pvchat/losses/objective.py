"""What is minimised (paper, eq. 11): the language model's loss plus the routing losses that are on."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pvchat.losses.head_activation import HeadActivation
from pvchat.losses.language_modeling import AnswerCrossEntropy
from pvchat.losses.load_balance import LoadBalance
from pvchat.losses.query_presence import PresenceLoss
from pvchat.losses.routing_sparsity import RoutingSparsity
from pvchat.routing import Routing


@dataclass(frozen=True)
class ObjectiveOutput:
    """``total`` to be minimised; ``parts`` by slot name, detached, as they enter the total."""

    total: Tensor
    parts: dict[str, Tensor]


class Objective(nn.Module):
    """Named slots rather than a list, so that configs can be merged. None switches a part off."""

    def __init__(
        self,
        *,
        language_modeling: AnswerCrossEntropy,
        smooth_proximity: RoutingSparsity | None = None,
        head_activation: HeadActivation | None = None,
        load_balance: LoadBalance | None = None,
        presence: PresenceLoss | None = None,
    ) -> None:
        super().__init__()
        self.language_modeling = language_modeling
        self.smooth_proximity = smooth_proximity
        self.head_activation = head_activation
        self.load_balance = load_balance
        self.presence = presence

    def forward(
        self,
        logits: Tensor,
        labels: Tensor,
        first: Tensor,
        routings: Mapping[str, Routing],
        presence: tuple[Tensor, Tensor, Tensor] | None = None,
    ) -> ObjectiveOutput:
        """logits (N, V), labels (N,), first (N,) bool: see AnswerCrossEntropy. Each routing loss sees all
        routings; ``presence`` are the arguments of PresenceLoss."""
        parts: dict[str, Tensor] = {"language_modeling": self.language_modeling(logits, labels, first)}
        for name in ("smooth_proximity", "head_activation", "load_balance"):
            if (loss := getattr(self, name)) is not None:
                parts[name] = loss(routings).to(logits.device)
        if self.presence is not None and presence is not None:
            parts["presence"] = self.presence(*presence)
        return ObjectiveOutput(
            torch.stack(list(parts.values())).sum(), {k: v.detach() for k, v in parts.items()}
        )
