"""Sums over all processes of a distributed training, so that its losses are those of one large batch."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def total(values: Tensor) -> Tensor:
    """Sum of ``values`` over the processes, in each of them; ``values`` itself where there is one.

    Differentiable. A loss made of totals is the same everywhere, and since its gradient reaches each process
    as often as there are processes, the mean that DDP and FSDP take is the gradient of one large batch."""
    if not (dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1):
        return values
    return _Total.apply(values)  # type: ignore[no-any-return]


class _Total(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        return _summed(values)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _summed(gradient)


def _summed(values: Tensor) -> Tensor:
    out = values.detach().clone().contiguous()
    dist.all_reduce(out)
    return out
