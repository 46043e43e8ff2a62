"""Operations run and bytes alive, followed operator by operator."""

import weakref
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry


class Meter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """``flops`` of matrix products, convolutions and attention, by torch's own formulas; ``now`` and ``peak``
    bytes of tensors alive (views cost nothing). Works on fake tensors and on real ones, forward and backward,
    with checkpointing and autocast as they are.

    Why not torch's: ``MemTracker`` fails on frozen parameters, and the hooks of ``FlopCounterMode`` keep what
    a checkpointed block has recomputed alive."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.flops = self.now = self.peak = 0
        self._alive: dict[int, weakref.ref[torch.UntypedStorage]] = {}

    def track(self, tensor: Tensor) -> None:
        """Count the memory of ``tensor``; twice is once."""
        storage = tensor.untyped_storage()
        key, size = id(storage), storage.nbytes()
        if key in self._alive:
            return

        def freed(_: object) -> None:
            self._alive.pop(key, None)
            self.now -= size

        self._alive[key] = weakref.ref(storage, freed)
        self.now += size
        self.peak = max(self.peak, self.now)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = kwargs or {}
        out = func(*args, **given)
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor):
                self.track(leaf)
        if (formula := flop_registry.get(func._overloadpacket)) is not None:
            self.flops += formula(*args, **given, out_val=out)
        return out
