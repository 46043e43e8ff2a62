"""Training on several devices: ``--trainer.strategy ddp`` (a copy on each) or ``fsdp`` (a part on each)."""

import os
from collections.abc import Iterator, Mapping
from typing import Any

import torch
import torch.distributed as dist
from lightning.pytorch.strategies import DDPStrategy, StrategyRegistry
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import Optimizer

from pvchat.errors import UserError
from pvchat.training import PersonalizedVideoChat

NAMES = ("auto", "ddp", "ddp_find_unused_parameters_true", "fsdp")
"""What ``trainer.strategy`` may be, besides a class path."""


class FullySharded(DDPStrategy):
    """Each process keeps a part of every weight, its gradient and its optimizer state, and gathers the whole
    of one block while that runs: the second FSDP of torch, ``fully_shard``.

    A unit is a block of the language model or a late block of the encoder; what is left, the Q-former, token
    rows and embeddings, is one more. Weights keep their own type (frozen ones bf16, trained ones float32, in
    one unit) and so do gradients; autocast chooses that of the computation. The frozen trunk of the encoder
    stays whole in each process, since each extracts features of other clips at other times. Checkpoints are
    those of one process. Lightning's FSDPStrategy flattens a unit into one tensor, which has to be of one
    type: here frozen weights and adapters of one block are not."""

    def configure_ddp(self) -> None:
        """Nothing to wrap: blocks were sharded in place."""

    def model_to_device(self) -> None:
        module = self.lightning_module
        assert isinstance(module, PersonalizedVideoChat)
        if module.trainer.state.fn == TrainerFn.FITTING:
            module.base_fingerprint  # noqa: B018 - kept from here on: parts of weights have another
            shard(module, self.root_device)
        super().model_to_device()

    def validation_step(self, *args: Any, **kwargs: Any) -> Any:
        output = super().validation_step(*args, **kwargs)
        module = self.lightning_module
        assert isinstance(module, PersonalizedVideoChat)
        if module.trainer.state.fn == TrainerFn.FITTING:
            module.chat.reshard()  # type: ignore[operator]  # else the next stage unfreezes gathered weights
        return output

    def lightning_module_state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps: gathering the frozen base each time would be for nothing."""
        module = self.lightning_module
        assert isinstance(module, PersonalizedVideoChat)
        return whole(module.kept_state())

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        state: dict[str, Any] = super().optimizer_state(optimizer)
        return state | {"state": {n: whole(values) for n, values in state["state"].items()}}

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        states = []
        for optimizer, saved in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            numbers = [n for group in saved["param_groups"] for n in group["params"]]
            owners = dict(zip(numbers, parameters, strict=True))
            parts = {
                n: {name: part_like(v, owners[n]) for name, v in values.items()}
                for n, values in saved["state"].items()
            }
            states.append({**saved, "state": parts})
        super().load_optimizer_state_dict({**checkpoint, "optimizer_states": states})


def shard(module: PersonalizedVideoChat, device: torch.device) -> None:
    """Spread the weights of ``module.chat`` over all processes, which must hold the same, on ``device``."""
    chat = module.chat
    trained = {id(p) for group in chat.parameter_groups().values() for p in group}
    trunk = {p for p in chat.views.parameters() if id(p) not in trained}
    mesh = init_device_mesh(device.type, (dist.get_world_size(),))
    for block in [*blocks(chat.language_model), *blocks(chat.views)]:
        if not trunk.issuperset(block.parameters()):
            fully_shard(block, mesh=mesh, ignored_params=trunk)
    fully_shard(chat, mesh=mesh, ignored_params=trunk)


def blocks(module: nn.Module) -> Iterator[nn.Module]:
    """The layers of ``module``: what is in its outermost lists."""
    for child in module.children():
        if isinstance(child, nn.ModuleList):
            yield from child
        else:
            yield from blocks(child)


def whole(state: Mapping[str, Any]) -> dict[str, Any]:
    """``state`` with gathered tensors, on the CPU of the first process and empty elsewhere; to be called by
    all of them."""
    pairs = sorted(state.items())  # in the same order everywhere: sets of names have none
    return {name: _whole(value) if isinstance(value, DTensor) else value for name, value in pairs}


def _whole(value: Any) -> Tensor:
    full: Tensor = value.detach().full_tensor()
    return full.cpu() if dist.get_rank() == 0 else full.new_empty(0, device="cpu")


def part_like(value: Any, parameter: Tensor) -> Any:
    """The part of a gathered ``value`` that belongs here, if ``parameter`` is sharded."""
    if not isinstance(parameter, DTensor) or not isinstance(value, Tensor) or value.shape != parameter.shape:
        return value
    value = value.to(parameter.device)
    return distribute_tensor(value, parameter.device_mesh, parameter.placements, src_data_rank=None)


def register_ddp() -> None:
    """Let ``ddp``, which Lightning also takes for ``auto``, look for parameters without gradient: stages
    freeze groups after the model is wrapped, and a gradient that never comes would be waited for."""
    StrategyRegistry.register("ddp", DDPStrategy, override=True, find_unused_parameters=True)


def resolve(strategy: Any) -> Any:
    """Lightning keeps the name ``fsdp`` for its own, which needs a GPU to be named."""
    return FullySharded() if strategy == "fsdp" else strategy


def check_strategy(trainer: Any) -> None:
    """Raise UserError unless ``trainer.strategy`` synchronises what stages freeze and unfreeze."""
    strategy = trainer.strategy
    if isinstance(strategy, str):
        name, fits = strategy, strategy in NAMES
    else:
        name = strategy.class_path.rpartition(".")[2]
        options = {**(strategy.get("init_args") or {}), **(strategy.get("dict_kwargs") or {})}
        finds = options.get("find_unused_parameters") is True
        fits = name in (FullySharded.__name__, "SingleDeviceStrategy") or (name == "DDPStrategy" and finds)
    if not fits:
        raise UserError(
            "trainer.strategy must synchronise parameters that a later stage unfreezes, and start a process "
            f"per device: got {name}. Use ddp (a copy of the model on each device) or fsdp (a part of it)."
        )
    if name in ("fsdp", FullySharded.__name__) and str(trainer.precision) in ("16", "16-mixed"):
        raise UserError(f"fsdp trains in bf16-mixed or 32-true: got trainer.precision={trainer.precision}.")


def launched() -> dict[str, int]:
    """``devices`` and ``num_nodes`` of the trainer as ``torchrun`` or ``fabric run`` started processes."""
    if not dist.is_torchelastic_launched():
        return {"devices": 1, "num_nodes": 1}
    here = int(os.environ["LOCAL_WORLD_SIZE"])
    return {"devices": here, "num_nodes": int(os.environ["WORLD_SIZE"]) // here}
