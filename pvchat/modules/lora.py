"""Low-rank adapters on a frozen language model (Hu et al. 2021; paper, section 3.4: r 16, alpha 32)."""

from dataclasses import dataclass

import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

from pvchat.errors import UserError

LORA_MARK = "lora_"  # in the name of every adapter parameter


@dataclass(frozen=True)
class LoRA:
    """``targets`` name linear layers of the language model by the last part of their path; InternVideo2-Chat
    also has ``lm_head``. The paper's dropout is .1; it is 0 here since it makes a step on a CPU a third
    longer."""

    rank: int = 16
    alpha: int = 32
    dropout: float = 0.0
    targets: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def inject_lora(model: nn.Module, lora: LoRA) -> None:
    """Put adapters into ``model``, a decoder with or without its vocabulary head, and freeze the rest.

    They start as the identity and are float32 whatever the base is, since steps of 1e-6 vanish in bf16;
    on a bf16 base run them under autocast, which casts them (peft would cast every input up and back).
    Raises UserError if a target matches no layer."""
    if lora.rank < 1 or not lora.targets:
        raise UserError(f"lora needs rank > 0 and targets: got rank={lora.rank}, targets={lora.targets}.")
    linears = {n.rpartition(".")[2] for n, m in model.named_modules() if isinstance(m, nn.Linear)}
    missing = [target for target in lora.targets if target not in linears]
    if missing:
        raise UserError(
            "lora.targets must name linear layers of the language model: "
            f"{missing} match none; available: {sorted(linears)}."
        )
    model.requires_grad_(False)
    config = LoraConfig(
        r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=list(lora.targets)
    )
    inject_adapter_in_model(config, model)
    for name, parameter in model.named_parameters():
        if LORA_MARK in name:
            parameter.data = parameter.data.to(torch.float32)
    for module in model.modules():
        if isinstance(module, LoraLayer):
            module.cast_input_dtype_enabled = False


def lora_update(layer: nn.Module, x: Tensor) -> Tensor | None:
    """What the adapters of ``layer`` add to its output for ``x`` (..., D); None without adapters."""
    if not isinstance(layer, LoraLayer):
        return None
    parts: list[Tensor] = [
        layer.lora_B[name](layer.lora_A[name](layer.lora_dropout[name](x))) * layer.scaling[name]
        for name in layer.active_adapters
    ]
    return torch.stack(parts).sum(0)
