"""Weights and inputs of golden tests, by formula: nothing large is stored, any machine draws the same."""

import math
from zlib import crc32

import torch
from torch import Tensor


def noise(name: str, *shape: int) -> Tensor:
    """Float32 values in [-1, 1) that look random and depend on ``name`` and ``shape`` alone."""
    index = torch.arange(math.prod(shape), dtype=torch.float64)
    wave = torch.sin(index * 12.9898 + crc32(name.encode()) % 9973) * 43758.5453
    return (2 * (wave - wave.floor()) - 1).float().view(shape)


def fill(name: str, tensor: Tensor) -> Tensor:
    """Weights for a published parameter: matrices of unit gain, vectors around 1, and biases around 0."""
    values = noise(name, *tensor.shape)
    if name.endswith(("cls_token", "pos_embed")):
        return values
    if tensor.ndim > 1:
        return values * (3 / math.prod(tensor.shape[1:])) ** 0.5
    return 0.1 * values if name.endswith("bias") else 1 + 0.5 * values
