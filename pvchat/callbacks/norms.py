"""How large are gradients and parameters? Norms of each parameter group."""

from collections.abc import Iterable

import lightning as L
import torch
from torch import Tensor
from torch.nn.utils import get_total_norm

from pvchat.errors import UserError
from pvchat.loggers.media import show_numbers


class NormMonitor(L.Callback):
    """Logs ``train/gradient_norm/{group}``, before clipping, and ``train/parameter_norm/{group}`` (Euclidean)
    of the groups that move, every ``every_n_steps`` optimizer steps and at the first one of each epoch; with
    0 never."""

    def __init__(self, *, every_n_steps: int = 10) -> None:
        if every_n_steps < 0:
            raise UserError(f"norms.every_n_steps must be >= 0: got {every_n_steps}.")
        self.every_n_steps = every_n_steps
        self._due = False  # resumed inside an epoch

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._due = True

    @torch.no_grad()
    def on_before_optimizer_step(
        self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        every = self.every_n_steps
        if not every or not (self._due or trainer.global_step % every == 0):
            return
        self._due = False
        norms: dict[str, Tensor] = {}
        for group in optimizer.param_groups:
            if moving := [p for p in group["params"] if p.grad is not None]:
                norms[f"train/gradient_norm/{group['name']}"] = _norm(p.grad for p in moving)
                norms[f"train/parameter_norm/{group['name']}"] = _norm(moving)
        if trainer.is_global_zero:
            show_numbers(trainer.loggers, norms, step=trainer.global_step)


def _norm(tensors: Iterable[Tensor]) -> Tensor:
    """Of all of them together, a scalar; of parts that other processes hold, too."""
    norm = get_total_norm(list(tensors))
    return norm.full_tensor() if hasattr(norm, "full_tensor") else norm
