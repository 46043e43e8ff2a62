"""Every tensor of InternVideo2-Chat-8B-HD: its published name, its shape, and where it lives in ours.

Our names are those of ``VideoChat``'s state dict, without the ``base_layer`` that peft puts in. Four tensors
have no place there, since no question reaches the Q-former: they are kept under ``unused.`` for the way back.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Part = Literal["encoder", "bridge", "language_model", "lora", "unused"]
Shape = tuple[int, ...]
UNUSED = "unused."
ENCODER, QFORMER, BASE = "views.encoder.", "qformer.", "language_model.base."
LORA_TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "lm_head")


NAME = "internvideo2-chat-8b-hd"


@dataclass(frozen=True)
class PublishedSizes:
    """The published sizes; tests pass smaller ones."""

    encoder_width: int = 1408
    encoder_blocks: int = 39
    encoder_heads: int = 16
    encoder_mlp: int = 6144
    patch_px: int = 14
    image_px: int = 224
    num_frames: int = 8
    qformer_width: int = 768
    qformer_layers: int = 12
    qformer_heads: int = 12
    qformer_mlp: int = 3072
    cross_attention_every: int = 2
    num_query_tokens: int = 32
    num_extra_query_tokens: int = 64
    text_vocabulary: int = 30523
    text_positions: int = 512
    lm_width: int = 4096
    lm_layers: int = 32
    lm_heads: int = 32
    lm_kv_heads: int = 8
    lm_mlp: int = 14336
    lm_vocabulary: int = 32768
    lora_rank: int = 16

    @property
    def num_patches(self) -> int:
        return (self.image_px // self.patch_px) ** 2

    @property
    def lm_kv_width(self) -> int:
        return self.lm_width // self.lm_heads * self.lm_kv_heads


@dataclass(frozen=True)
class PublishedKey:
    """``published`` of ``shape`` is ``ours`` of ``our_shape``: the same numbers in the same order. Where two
    published tensors make one of ours, each is its rows from ``first_row`` on."""

    published: str
    shape: Shape
    ours: str
    our_shape: Shape
    part: Part
    first_row: int = 0
    is_positions: bool = False  # the buffer 0, 1, 2, ..: int64, not learned

    @property
    def num_bytes(self) -> int:
        return math.prod(self.shape) * (8 if self.is_positions else 2)


def key_table(sizes: PublishedSizes | None = None) -> list[PublishedKey]:
    """All published tensors, each once, part after part (1,590 of 8,471,368,960 numbers)."""
    sizes = sizes or PublishedSizes()
    return [*_encoder(sizes), *_bridge(sizes), *_language_model(sizes), *_unused(sizes)]


def published_name(parameter: str) -> str:
    """Our name in the table of a ``parameter`` of the LightningModule."""
    return parameter.removeprefix("chat.").replace(".base_layer", "")


def part_of(ours: str) -> Part | None:
    """Which part a tensor of our model belongs to by its name; None for what is only ours."""
    if ours.startswith(ENCODER):
        return "encoder"
    if ours.startswith(BASE):
        return "lora" if ".lora_" in ours else "language_model"
    if ours.startswith((QFORMER, "project_up.")) and ".router." not in ours and "personal_" not in ours:
        return "bridge"
    return "unused" if ours.startswith(UNUSED) else None


def _encoder(s: PublishedSizes) -> Iterator[PublishedKey]:
    width, patches, px = s.encoder_width, s.num_patches, s.patch_px
    named: list[tuple[str, Shape, str, Shape]] = [
        ("cls_token", (1, 1, width), "cls_token", (1, width)),
        ("pos_embed", (1, 1 + s.num_frames * patches, width), "video_positions", ()),
        ("img_pos_embed", (1, 1 + patches, width), "image_positions", ()),
        ("patch_embed.proj.weight", (width, 3, 1, px, px), "patch_embed.weight", (width, 3, px, px)),
        ("patch_embed.proj.bias", (width,), "patch_embed.bias", (width,)),
    ]
    for i in range(s.encoder_blocks):
        vector, here = (width,), f"blocks.{i}."
        block: list[tuple[str, str, Shape]] = [
            ("norm1.weight", "norm1.weight", vector),
            ("attn.qkv.weight", "attention.qkv.weight", (3 * width, width)),
            ("attn.q_norm.weight", "attention.query_norm.weight", vector),
            ("attn.k_norm.weight", "attention.key_norm.weight", vector),
            ("attn.proj.weight", "attention.out_proj.weight", (width, width)),
            ("attn.proj.bias", "attention.out_proj.bias", vector),
            ("ls1", "scale1", vector),
            ("norm2.weight", "norm2.weight", vector),
            ("mlp.fc1.weight", "mlp.0.weight", (s.encoder_mlp, width)),
            ("mlp.fc1.bias", "mlp.0.bias", (s.encoder_mlp,)),
            ("mlp.fc2.weight", "mlp.2.weight", (width, s.encoder_mlp)),
            ("mlp.fc2.bias", "mlp.2.bias", vector),
            ("ls2", "scale2", vector),
        ]
        named += [(here + theirs, shape, here + ours, shape) for theirs, ours, shape in block]
    for theirs, shape, ours, our_shape in named:
        our_shape = our_shape or shape[1:]
        yield PublishedKey(f"vision_encoder.{theirs}", shape, ENCODER + ours, our_shape, "encoder")
    for kind in ("weight", "bias"):
        yield PublishedKey(f"vision_layernorm.{kind}", (width,), f"{ENCODER}norm.{kind}", (width,), "encoder")


def _bridge(s: PublishedSizes) -> Iterator[PublishedKey]:
    width, queries = s.qformer_width, s.num_query_tokens + s.num_extra_query_tokens
    for name, rows, first in (
        ("query_tokens", s.num_query_tokens, 0),
        ("extra_query_tokens", s.num_extra_query_tokens, s.num_query_tokens),
    ):
        ours = f"{QFORMER}query_tokens"
        yield PublishedKey(name, (1, rows, width), ours, (queries, width), "bridge", first)
    for kind in ("weight", "bias"):
        theirs = f"qformer.bert.embeddings.LayerNorm.{kind}"
        yield PublishedKey(theirs, (width,), f"{QFORMER}norm.{kind}", (width,), "bridge")
    for i in range(s.qformer_layers):
        for theirs, ours, outputs, inputs in _qformer_layer(s, crosses=i % s.cross_attention_every == 0):
            for kind, shape in (
                ("weight", (outputs, inputs) if inputs else (outputs,)),
                ("bias", (outputs,)),
            ):
                published = f"qformer.bert.encoder.layer.{i}.{theirs}.{kind}"
                yield PublishedKey(published, shape, f"{QFORMER}layers.{i}.{ours}.{kind}", shape, "bridge")
    for kind, shape in (("weight", (s.lm_width, width)), ("bias", (s.lm_width,))):
        yield PublishedKey(f"project_up.{kind}", shape, f"project_up.{kind}", shape, "bridge")


def _qformer_layer(s: PublishedSizes, *, crosses: bool) -> Iterator[tuple[str, str, int, int]]:
    """(published module, ours, outputs, inputs); a norm has no inputs."""
    width, mlp = s.qformer_width, s.qformer_mlp
    attentions = [("attention", "self", width)]
    attentions += [("crossattention", "cross", s.encoder_width)] if crosses else []
    for theirs, ours, context in attentions:
        yield f"{theirs}.self.query", f"{ours}_attention.heads.query", width, width
        yield f"{theirs}.self.key", f"{ours}_attention.heads.key", width, context
        yield f"{theirs}.self.value", f"{ours}_attention.heads.value", width, context
        yield f"{theirs}.output.dense", f"{ours}_attention.heads.out_proj", width, width
        yield f"{theirs}.output.LayerNorm", f"{ours}_norm.norm", width, 0
    for suffix, ours in (("_query", "ffn"), ("", "text_ffn")):
        yield f"intermediate{suffix}.dense", f"{ours}.0", mlp, width
        yield f"output{suffix}.dense", f"{ours}.2", width, mlp
        yield f"output{suffix}.LayerNorm", f"{ours}_norm.norm", width, 0


def _language_model(s: PublishedSizes) -> Iterator[PublishedKey]:
    width, kv, mlp = s.lm_width, s.lm_kv_width, s.lm_mlp
    linears: list[tuple[str, int, int]] = []
    norms = ["model.norm"]
    for i in range(s.lm_layers):
        layer = f"model.layers.{i}."
        norms += [f"{layer}input_layernorm", f"{layer}post_attention_layernorm"]
        linears += [
            (f"{layer}self_attn.{name}_proj", out, width)
            for name, out in (("q", width), ("k", kv), ("v", kv), ("o", width))
        ]
        linears += [(f"{layer}mlp.{name}_proj", mlp, width) for name in ("gate", "up")]
        linears += [(f"{layer}mlp.down_proj", width, mlp)]
    linears += [("lm_head", s.lm_vocabulary, width)]
    frozen: list[tuple[str, Shape]] = [("model.embed_tokens", (s.lm_vocabulary, width))]
    frozen += [(name, (width,)) for name in norms]
    frozen += [(name, (outputs, inputs)) for name, outputs, inputs in linears]
    adapters: list[tuple[str, Shape]]
    adapters = [(f"{name}.lora_A.default", (s.lora_rank, inputs)) for name, _, inputs in linears]
    adapters += [(f"{name}.lora_B.default", (outputs, s.lora_rank)) for name, outputs, _ in linears]
    parts: list[tuple[Part, list[tuple[str, Shape]]]]
    parts = [("language_model", frozen), ("lora", adapters)]
    for part, tensors in parts:
        for name, shape in tensors:
            theirs = f"lm.base_model.model.{name}.weight"
            yield PublishedKey(theirs, shape, f"{BASE}{name}.weight", shape, part)


def _unused(s: PublishedSizes) -> Iterator[PublishedKey]:
    """Words for the Q-former, and a projection from the language model that no forward pass uses."""
    words: Shape = (s.text_vocabulary, s.qformer_width)
    positions: Shape = (s.text_positions, s.qformer_width)
    where = "qformer.bert.embeddings."
    named: list[tuple[str, str, Shape]] = [
        (f"{where}word_embeddings.weight", "word_embeddings.weight", words),
        (f"{where}position_embeddings.weight", "position_embeddings.weight", positions),
        ("project_down.weight", "project_down.weight", (s.qformer_width, s.lm_width)),
        ("project_down.bias", "project_down.bias", (s.qformer_width,)),
    ]
    for theirs, ours, shape in named:
        yield PublishedKey(theirs, shape, UNUSED + ours, shape, "unused")
    ids = f"{UNUSED}position_ids"
    count = s.text_positions
    yield PublishedKey(f"{where}position_ids", (1, count), ids, (count,), "unused", is_positions=True)


def mistral_config(sizes: PublishedSizes) -> dict[str, object]:
    """Mistral-7B-Instruct-v0.3, as transformers reads it."""
    return {
        "architectures": ["MistralForCausalLM"],
        "model_type": "mistral",
        "vocab_size": sizes.lm_vocabulary,
        "hidden_size": sizes.lm_width,
        "intermediate_size": sizes.lm_mlp,
        "num_hidden_layers": sizes.lm_layers,
        "num_attention_heads": sizes.lm_heads,
        "num_key_value_heads": sizes.lm_kv_heads,
        "hidden_act": "silu",
        "max_position_embeddings": 32768,
        "rms_norm_eps": 1e-5,
        "rope_theta": 1e6,
        "sliding_window": None,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
    }
