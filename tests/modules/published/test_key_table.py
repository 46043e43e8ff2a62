"""Every published tensor has its place in our modules, at full size (on the meta device: no memory)."""

import json
import math
from collections import Counter
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import MistralConfig, MistralForCausalLM

from pvchat.modules.attention import Attention, DenseAttention, ReMoHAttention
from pvchat.modules.internvideo2 import InternVideo2
from pvchat.modules.lora import LoRA, inject_lora
from pvchat.modules.published.key_table import BASE, ENCODER, LORA_TARGETS, QFORMER, PublishedSizes, key_table
from pvchat.modules.qformer import QFormer

TOTAL_BYTES, TOTAL_KEYS, TOTAL_NUMBERS = 16_942_742_016, 1590, 8_471_368_960


def bert_base(routed: type[Attention] | None = None) -> QFormer:
    """The Q-former at its published size; routed, nine modules from layer 6 on."""
    return QFormer(
        1408,
        1,
        width=768,
        num_layers=12,
        intermediate_width=3072,
        num_query_tokens=96,
        num_personal_query_tokens=0,
        dense=partial(DenseAttention, num_heads=12),
        routed=partial(routed, num_heads=12, num_shared_heads=8) if routed else None,
        first_routed_layer=6 if routed else 0,
        text_input=True,
    )


def mistral(*targets: str) -> nn.Module:
    config = MistralConfig(
        vocab_size=32768,
        hidden_size=4096,
        intermediate_size=14336,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=8,
    )
    with torch.device("meta"):
        model = MistralForCausalLM(config)
        inject_lora(model, LoRA(rank=16, targets=targets))
    return model


def test_our_modules_hold_every_published_tensor() -> None:
    with torch.device("meta"):
        modules: dict[str, nn.Module] = {
            ENCODER: InternVideo2(),
            QFORMER: bert_base(),
            "project_up.": nn.Linear(768, 4096),
            BASE: mistral(*LORA_TARGETS),
        }
    ours = {
        prefix + name.replace(".base_layer", ""): tuple(value.shape)
        for prefix, module in modules.items()
        for name, value in module.state_dict().items()
        if value.numel()
    }
    assert ours == {key.ours: key.our_shape for key in key_table() if key.part != "unused"}


def test_the_table_is_whole() -> None:
    table = key_table()
    assert len({key.published for key in table}) == len(table) == TOTAL_KEYS
    assert sum(math.prod(key.shape) for key in table) == TOTAL_NUMBERS + 512  # position_ids
    assert sum(key.num_bytes for key in table) == TOTAL_BYTES
    rows = Counter[str]()
    for key in table:
        rows[key.ours] += math.prod(key.shape)
    assert all(rows[key.ours] == math.prod(key.our_shape) for key in table)
    assert [key.published for key in table if rows[key.ours] != math.prod(key.shape)] == [
        "query_tokens",
        "extra_query_tokens",
    ]


def test_the_table_is_the_published_one(reference: Path) -> None:
    record = json.loads((reference / "internvideo2-chat-8b-hd" / "keys.json").read_text())
    assert {key.published: list(key.shape) for key in key_table()} == record["keys"]
    assert sum(key.num_bytes for key in key_table()) == record["total_size"] == TOTAL_BYTES


def test_known_numbers_of_parameters() -> None:
    numbers = Counter[str]()
    for key in key_table():
        top = key.published.split(".")[0]
        numbers[top] += 0 if key.is_positions else math.prod(key.shape)
        numbers["lora"] += math.prod(key.shape) if key.part == "lora" else 0
    assert numbers["qformer"] == 185_660_160
    assert numbers["vision_encoder"] == 988_779_520
    assert numbers["lm"] == 7_290_556_416
    assert numbers["lora"] == 42_532_864


@pytest.mark.parametrize(
    ("targets", "expected"), [(LORA_TARGETS, 42_532_864), (LORA_TARGETS[:-1], 41_943_040)]
)
def test_lora_of_our_language_model(targets: tuple[str, ...], expected: int) -> None:
    assert sum(p.numel() for n, p in mistral(*targets).named_parameters() if "lora_" in n) == expected


def test_routers_of_our_qformer() -> None:
    """Self-attention of layers 6..11 and cross-attention of 6, 8 and 10."""
    with torch.device("meta"):
        dense, routed = bert_base(), bert_base(ReMoHAttention)
    added = {n: p.numel() for n, p in routed.named_parameters() if n not in dict(dense.named_parameters())}
    assert {n.rpartition(".router.")[0] for n in added} == {
        *(f"layers.{i}.self_attention" for i in range(6, 12)),
        *(f"layers.{i}.cross_attention" for i in (6, 8, 10)),
    }
    assert sum(added.values()) == 41_508


def test_small_tables_have_the_same_names() -> None:
    small = key_table(PublishedSizes(encoder_width=32, lm_width=64, lm_vocabulary=100))
    assert [key.ours for key in small] == [key.ours for key in key_table()]
