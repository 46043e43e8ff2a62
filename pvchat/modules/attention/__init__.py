"""Attention layers: dense, top-k routed (MoH) and ReLU-routed (ReMoH) heads."""

from pvchat.modules.attention.base import Attention, AttentionFactory, AttentionOutput
from pvchat.modules.attention.dense import DenseAttention
from pvchat.modules.attention.moh import MoHAttention
from pvchat.modules.attention.remoh import ReMoHAttention

__all__ = [
    "Attention",
    "AttentionFactory",
    "AttentionOutput",
    "DenseAttention",
    "MoHAttention",
    "ReMoHAttention",
]
