"""Pretrained tensors reach our modules, and nothing is filled, or left, silently."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pvchat.errors import UserError
from pvchat.modules.conversion import convert_qformer
from pvchat.modules.internvideo2 import PretrainedInternVideo2
from pvchat.modules.published.checkpoint_folders import PublishedCheckpoint
from pvchat.modules.published.exchange import convert
from pvchat.modules.published.filling import fill
from pvchat.modules.published.key_table import ENCODER, LORA_TARGETS, PublishedSizes

ALL = ("encoder", "bridge", "language_model", "lora")


@pytest.fixture
def checkpoint(published: Path, sizes: PublishedSizes) -> PublishedCheckpoint:
    return PublishedCheckpoint(published, sizes=sizes)


def test_a_whole_model(checkpoint: PublishedCheckpoint, chat: Callable[..., nn.Module]) -> None:
    model = chat(text_input=True)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    kept = fill(model, checkpoint, parts=ALL)
    assert {name.split(".")[-3] if "router" in name else name for name in kept} == {
        "router",
        "qformer.personal_query_tokens",
    }
    for name, value in model.state_dict().items():
        expected = before[name] if name in kept else checkpoint.read(name.replace(".base_layer", ""))
        torch.testing.assert_close(value, expected.to(value.dtype), atol=0, rtol=0)


def test_the_qformer_is_what_the_other_conversion_reads(
    checkpoint: PublishedCheckpoint, everything: dict[str, Tensor], chat: Callable[..., nn.Module]
) -> None:
    model = chat(text_input=True)
    fill(model, checkpoint, prefix="", parts=("bridge",))
    state = model.qformer.state_dict()
    bert = {n: v for n, v in everything.items() if n.startswith("qformer.") or n.endswith("query_tokens")}
    expected = convert_qformer(bert)
    assert len(expected) > 50
    assert all(torch.equal(state[name], value.float()) for name, value in expected.items())


def test_the_adapters_change_what_the_language_model_says(
    checkpoint: PublishedCheckpoint, chat: Callable[..., nn.Module]
) -> None:
    """On the head too: its scores are those of the summed weights, W + alpha / r B A."""
    model = chat()
    fill(model, checkpoint, parts=ALL)
    head = model.language_model.base.lm_head
    hidden = torch.randn(3, 16)
    name = "language_model.base.lm_head."
    weight, down, up = (
        checkpoint.read(name + part).float()
        for part in ("weight", "lora_A.default.weight", "lora_B.default.weight")
    )
    torch.testing.assert_close(head(hidden), hidden @ (weight + 2 * up @ down).T)


def test_text_networks_are_optional(checkpoint: PublishedCheckpoint, chat: Callable[..., nn.Module]) -> None:
    model = chat(text_input=False)
    kept = fill(model, checkpoint)
    base = [name for name in kept if name.startswith("language_model.base.")]
    assert base  # was not asked for
    assert not any(".lora_" in name for name in base)


def test_meta_modules_get_memory_and_keep_their_types(
    checkpoint: PublishedCheckpoint, chat: Callable[..., nn.Module]
) -> None:
    with torch.device("meta"):
        model = chat()
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    kept = fill(model, checkpoint, parts=ALL)
    state = model.state_dict()
    assert {name for name, value in state.items() if value.is_meta} == set(kept)
    assert {name for name, p in model.named_parameters() if p.requires_grad} == trained
    assert (
        state["language_model.base.model.layers.0.mlp.up_proj.lora_A.default.weight"].dtype == torch.float32
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"targets": LORA_TARGETS[:-1]}, r"2 missing: language_model\.base\.lm_head\.lora_A"),
        ({"rank": 3}, r"30 of another shape: language_model\.base\..*\[3, 16\] for \[2, 16\]"),
        ({"num_query_tokens": 4}, r"1 of another shape: qformer\.query_tokens \[4, 24\] for \[5, 24\]"),
        ({"num_blocks": 2}, rf"13 missing: {ENCODER}blocks\.2\."),
        ({"num_blocks": 4}, rf"13 unknown: {ENCODER}blocks\.3\."),
    ],
)
def test_a_model_that_does_not_fit_is_left_alone(
    checkpoint: PublishedCheckpoint, chat: Callable[..., nn.Module], options: dict[str, Any], message: str
) -> None:
    model = chat(**options)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(UserError, match=message):
        fill(model, checkpoint)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_encoder_by_itself(
    checkpoint: PublishedCheckpoint, tmp_path: Path, chat: Callable[..., nn.Module], dtype: Any
) -> None:
    convert(checkpoint, tmp_path / "imported")
    encoder = PretrainedInternVideo2(source=str(tmp_path / "imported"), num_late_blocks=1, dtype=dtype).eval()
    model = chat().eval()
    fill(model, checkpoint, parts=("encoder",))
    video = torch.rand(2, 4, 3, 28, 28) * 255
    same = model.views["encoder"]
    tokens, expected = (e.finish(e.embed(video)) for e in (encoder, same))
    torch.testing.assert_close(tokens, expected, **({} if dtype == "float32" else {"atol": 0.2, "rtol": 0.1}))
    assert {p.dtype for p in encoder.late_parameters()} == {torch.float32}
    assert encoder.dtype == getattr(torch, dtype)
    assert not any(p.is_meta for p in encoder.parameters())
