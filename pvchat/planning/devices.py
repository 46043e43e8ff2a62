"""GPUs that one can rent: memory and dense bf16 speed, as their data sheets say."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Device:
    """``gigabytes`` of memory (1e9 bytes), ``teraflops`` of dense bf16 matrix products a second."""

    label: str
    gigabytes: float
    teraflops: float


DEVICES = {
    "l4": Device("NVIDIA L4", 24, 121),
    "a10": Device("NVIDIA A10", 24, 125),
    "rtx4090": Device("NVIDIA RTX 4090", 24, 165),
    "l20": Device("NVIDIA L20", 48, 119.5),
    "l40s": Device("NVIDIA L40S", 48, 362),
    "a6000": Device("NVIDIA RTX A6000", 48, 155),
    "a100-40": Device("NVIDIA A100 40 GB", 40, 312),
    "a100-80": Device("NVIDIA A100 80 GB", 80, 312),
    "h100": Device("NVIDIA H100 SXM", 80, 989),
    "h200": Device("NVIDIA H200", 141, 989),
}
RESERVED = 1.5  # GB that the CUDA context, its libraries and fragmentation take; a guess
