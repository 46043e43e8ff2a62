"""A frozen language model in 4 bits under adapters in float32 (QLoRA, Dettmers et al. 2023): bitsandbytes."""

from typing import Any

import torch
from torch import Tensor
from transformers import BitsAndBytesConfig
from transformers.utils.import_utils import is_bitsandbytes_available

from pvchat.errors import UserError


def four_bit_options(dtype: torch.dtype) -> dict[str, Any]:
    """What ``from_pretrained`` is told: linear layers but the vocabulary head in NF4, their scales quantised
    too, computing in ``dtype``. Quantised on the CPU, from where the model moves like any other, so that not
    each of several processes fills the first GPU; this takes minutes for billions of weights, and none for a
    folder that transformers has saved in 4 bits. Raises UserError where bitsandbytes is missing."""
    if not is_bitsandbytes_available():
        raise UserError(
            "quantization: nf4 needs bitsandbytes: it is not installed, or too old. Run pip install "
            "'pvchat[4bit]', or set quantization to null."
        )
    config = BitsAndBytesConfig(  # type: ignore[no-untyped-call]
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )
    return {"quantization_config": config, "device_map": {"": "cpu"}}


def keep_as_loaded(base: torch.nn.Module) -> None:
    """Stop bitsandbytes from repacking weights on CPUs with AVX512-BF16 the first time they are evaluated:
    that rounds the scales for good, and from then on no gradient passes."""
    for module in base.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False  # type: ignore[assignment]


def frozen_bits(parameter: Tensor) -> Tensor:
    """Bytes (..., n) uint8 that name a frozen weight: of one in 4 bits the packed codes, else its value in
    bf16. The scales of codes are left out: their last bit depends on how many threads quantised them."""
    if parameter.dtype == torch.uint8:
        return parameter.detach()
    return parameter.bfloat16().view(torch.uint8)
