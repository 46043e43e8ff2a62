"""Smooth Proximity Regularization (SPR; paper, eq. 7-9): fewer routed heads, as strongly as needed."""

import math
from collections.abc import Callable, Mapping
from typing import Literal, Self

import torch
from torch import Tensor, nn

from pvchat.errors import UserError
from pvchat.routing import Routing

_LIMITS = (1e-15, 10.0)
_REMOE_FACTOR = 1.2


class RoutingSparsity(nn.Module):
    """``lambda * sum_h f_h mean(g_h)``, mean over modules; ``f_h`` is the share of tokens that use head h (no
    gradient), so busy heads are pressed harder (released code, ReMoE). Without ``load_balanced`` it is the
    paper's ``lambda * mean(g)`` (eq. 8).

    ``weight`` is lambda, a buffer: saved with the model, changed by ``update`` only. One value for all
    modules, or one for each of ``num_modules``. It drives the sparsity to ``target = 1 - k / E``."""

    weight: Tensor

    def __init__(
        self,
        *,
        target: float = 0.5,
        load_balanced: bool = True,
        update: Literal["exp", "remoe"] = "exp",
        k: float = 0.8,
        initial: float = 1e-8,
        num_modules: int | None = None,
    ) -> None:
        super().__init__()
        if not 0 <= target < 1:
            raise UserError(f"target sparsity must be in [0, 1): got {target}.")
        if not _LIMITS[0] <= initial <= _LIMITS[1]:
            raise UserError(f"initial lambda must be in [{_LIMITS[0]}, {_LIMITS[1]}]: got {initial}.")
        self.target, self.load_balanced, self.rule, self.k = target, load_balanced, update, k
        shape = () if num_modules is None else (num_modules,)
        self.register_buffer("weight", torch.full(shape, initial, dtype=torch.float32))

    def forward(self, routings: Mapping[str, Routing]) -> Tensor:
        """Scalar; zero without routed modules. Changes nothing."""
        if not routings:
            return self.weight.new_zeros(())
        losses = torch.stack([self._pressure(r) for r in routings.values()])
        return (self.weight * self._checked(losses)).mean()

    @torch.no_grad()
    def update(self, sparsity: Tensor) -> None:
        """Once per optimizer step: ``lambda *= exp(k (target - sparsity))``, or ReMoE's step of a factor 1.2,
        within [1e-15, 10]. ``sparsity`` is one value or one per module (M,), averaged for a global lambda."""
        sparsity = sparsity.float()
        gap = self.target - (self._checked(sparsity) if self.weight.ndim else sparsity.mean())
        factor = (
            torch.exp(self.k * gap) if self.rule == "exp" else torch.exp(gap.sign() * math.log(_REMOE_FACTOR))
        )
        self.weight.copy_((self.weight * factor).clamp(*_LIMITS))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        # Steps of lambda are below the resolution of bf16: it stays fp32 when the model is cast.
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.weight = self.weight.float()
        return self

    def _pressure(self, routing: Routing) -> Tensor:
        scores = routing.per_head(routing.scores)  # (Hr,)
        if not self.load_balanced:
            return scores.mean()
        return (routing.per_head(routing.routing_map) * scores).sum()

    def _checked(self, values: Tensor) -> Tensor:
        if self.weight.ndim and values.shape != self.weight.shape:
            raise ValueError(
                f"lambda is set for {len(self.weight)} modules: got {tuple(values.shape)} values."
            )
        return values
