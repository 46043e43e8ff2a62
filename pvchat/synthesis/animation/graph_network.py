"""Run a network that is a list of operations, as ``pvchat.assets.tflite`` writes it."""

import json
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn


class GraphNetwork(nn.Module):
    """The network in ``folder`` called ``name``, frozen. Images (B, 3, H, W) -> outputs by their order."""

    def __init__(self, folder: Path, name: str) -> None:
        super().__init__()
        self.graph: dict[str, Any] = json.loads((folder / f"{name}.json").read_text())
        for key, weight in load_file(folder / f"{name}.safetensors").items():
            # a copy lies aligned in memory; where a mapped file lies it may not, and sums differ in last bits
            self.register_buffer(key.replace(".", "_"), weight.clone())

    @torch.inference_mode()
    def forward(self, images: Tensor) -> list[Tensor]:
        values = {self.graph["input"]: images}
        for n, operation in enumerate(self.graph["operations"]):
            inputs = [values[i] for i in operation["inputs"]]
            weight, bias = (getattr(self, f"{n}_{part}", None) for part in ("weight", "bias"))
            values[operation["output"]] = _apply(operation, inputs, weight, bias)
        return [values[i] for i in self.graph["outputs"]]


def _apply(
    operation: dict[str, Any], inputs: list[Tensor], weight: Tensor | None, bias: Tensor | None
) -> Tensor:
    x, kind = inputs[0], operation["kind"]
    if kind == "conv":
        assert weight is not None
        groups = x.shape[1] if operation["depthwise"] else 1
        x = _same(x, operation, weight.shape[2:])
        x = F.conv2d(x, weight, bias, operation["stride"], groups=groups)
    elif kind == "transposed":
        assert weight is not None
        x = F.conv_transpose2d(x, weight, bias, operation["stride"])
    elif kind in ("max", "average"):
        pool = F.max_pool2d if kind == "max" else F.avg_pool2d
        fill = -torch.inf if kind == "max" else 0.0
        x = pool(_same(x, operation, operation["size"], fill), operation["size"], operation["stride"])
    elif kind == "resize":
        aligned = operation["align_corners"]
        x = F.interpolate(x, operation["size"], mode="bilinear", align_corners=aligned)
    elif kind == "pad":
        _, rows, columns, channels = operation["amounts"]
        x = F.pad(x, [*columns, *rows, *channels])
    elif kind == "prelu":
        x = F.prelu(x, weight if weight is not None else inputs[1])
    elif kind in ("add", "mul"):
        x = x + inputs[1] if kind == "add" else x * inputs[1]
    else:
        x = x.relu() if kind == "relu" else x.sigmoid() if kind == "sigmoid" else F.hardswish(x)
    activation = operation.get("activation")
    return x if activation is None else F.relu6(x) if activation == "relu6" else x.relu()


def _same(x: Tensor, operation: dict[str, Any], size: Any, fill: float = 0.0) -> Tensor:
    """Pad as TensorFlow's SAME: the odd row and column go to the end."""
    if not operation["same"]:
        return x
    amounts = []
    for length, kernel, stride in zip(
        x.shape[:1:-1], reversed(size), reversed(operation["stride"]), strict=True
    ):
        total = max(0, (-(-length // stride) - 1) * stride + kernel - length)
        amounts += [total // 2, total - total // 2]
    return F.pad(x, amounts, value=fill)
