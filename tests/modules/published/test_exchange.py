"""The published layout, imported, trained, exported: bit for bit, but for what was trained."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from golden.noise import noise
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, MistralForCausalLM

from pvchat.errors import UserError
from pvchat.modules.published.checkpoint_folders import PublishedCheckpoint, Source, open_checkpoint
from pvchat.modules.published.exchange import EXTRA, convert, export
from pvchat.modules.published.filling import fill
from pvchat.modules.published.key_table import PublishedSizes, mistral_config
from pvchat.modules.published.released_names import released
from pvchat.modules.published.shards import INDEX


@pytest.fixture
def checkpoint(published: Path, sizes: PublishedSizes) -> PublishedCheckpoint:
    return PublishedCheckpoint(published, sizes=sizes)


@pytest.mark.parametrize("by_way_of", ["published", "imported"])
def test_there_and_back_bit_for_bit(
    checkpoint: PublishedCheckpoint,
    everything: dict[str, Tensor],
    tensors_of: Callable[[Path], dict[str, Tensor]],
    tmp_path: Path,
    by_way_of: str,
) -> None:
    source: Source = checkpoint
    if by_way_of == "imported":
        convert(checkpoint, tmp_path / "imported", shard_bytes=5000)
        source = open_checkpoint(tmp_path / "imported")
    assert export(source, tmp_path / "out", {}, shard_bytes=9000) == []
    found = tensors_of(tmp_path / "out")
    assert found.keys() == everything.keys()
    assert {n: v.dtype for n, v in found.items()} == {n: v.dtype for n, v in everything.items()}
    assert all(torch.equal(found[name], value) for name, value in everything.items())
    index, original = (json.loads((f / INDEX).read_text()) for f in (tmp_path / "out", checkpoint.folder))
    assert index["metadata"] == original["metadata"]
    assert index["weight_map"].keys() == original["weight_map"].keys()
    assert len(set(index["weight_map"].values())) > 2


def test_only_what_was_trained_changes(
    checkpoint: PublishedCheckpoint,
    everything: dict[str, Tensor],
    tensors_of: Callable[[Path], dict[str, Tensor]],
    chat: Callable[..., nn.Module],
    tmp_path: Path,
) -> None:
    """Import, a few steps, export, import: late blocks, Q-former and adapters moved, nothing else."""
    model = chat()
    fill(model, checkpoint, parts=("encoder", "bridge", "language_model", "lora"))
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    optimizer = torch.optim.AdamW(trained.values(), lr=0.05)
    for _ in range(3):
        optimizer.zero_grad()
        model((noise("video", 2, 4, 3, 28, 28) + 1) * 127.5).square().mean().backward()
        optimizer.step()
    extra = export(checkpoint, tmp_path / "out", {f"chat.{name}": p for name, p in trained.items()})
    found = tensors_of(tmp_path / "out")
    changed = {name for name, value in everything.items() if not torch.equal(found[name], value)}
    late = ("vision_encoder.blocks.2.", "vision_layernorm.")
    bridge = ("qformer.bert.", "project_up.", "query_tokens", "extra_query_tokens")
    expected = {n for n in everything if n.startswith((*late, *bridge)) or ".lora_" in n}
    expected = {n for n in expected if not is_about_text(n)}
    assert changed <= expected
    # softmax does not see the biases of keys: their gradient is 0
    assert all(name.endswith("key.bias") for name in expected - changed)
    ours = {n for n in trained if ".router." in n or "personal_query" in n}
    kept = load_file(tmp_path / "out" / EXTRA)
    assert kept.keys() == set(extra)
    expected_extra = dict(released(n, trained[n]) for n in ours)
    assert all(torch.equal(kept[name], value) for name, value in expected_extra.items())
    assert len(extra) == len(ours)

    again = chat()
    fill(
        again,
        PublishedCheckpoint(tmp_path / "out", sizes=checkpoint.sizes),
        parts=("encoder", "bridge", "lora"),
    )
    state = again.state_dict()
    for name in trained.keys() - ours:
        assert torch.equal(state[name], trained[name].bfloat16().float())


def is_about_text(name: str) -> bool:
    """Words and the networks for text in the Q-former, which no video passes."""
    return re.search(r"embeddings\.(word|pos)|layer\.\d+\.(intermediate|output)\.", name) is not None


def test_transformers_loads_the_language_model(checkpoint: PublishedCheckpoint, tmp_path: Path) -> None:
    (checkpoint.folder / "tokenizer.json").write_text("{}")
    assert convert(checkpoint, tmp_path / "out", shard_bytes=2000) == ["tokenizer.json"]
    folder = tmp_path / "out" / "language_model"
    model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto")
    assert isinstance(model, MistralForCausalLM)
    assert model.dtype == torch.bfloat16
    assert (folder / "tokenizer.json").read_text() == "{}"
    export(open_checkpoint(tmp_path / "out"), tmp_path / "back", {})
    assert (tmp_path / "back" / "tokenizer.json").read_text() == "{}"
    for name, value in model.state_dict().items():
        assert torch.equal(value, checkpoint.read(f"language_model.base.{name}"))


def test_the_published_language_model_is_mistral() -> None:
    from transformers import MistralConfig

    config = MistralConfig(**mistral_config(PublishedSizes()))
    assert (config.head_dim, config.sliding_window, config.rope_parameters["rope_theta"]) == (128, None, 1e6)
    assert (config.eos_token_id, config.tie_word_embeddings, config.max_position_embeddings) == (
        2,
        False,
        32768,
    )


def test_what_does_not_fit_is_refused_before_writing(checkpoint: PublishedCheckpoint, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"1 of another shape: project_up\.bias \[3\] for \[16\]"):
        export(checkpoint, tmp_path / "out", {"chat.project_up.bias": torch.zeros(3)})
    assert not (tmp_path / "out").exists()


def test_nothing_is_written_over(checkpoint: PublishedCheckpoint) -> None:
    refusal = r"into a new or empty folder: .* is neither"
    with pytest.raises(UserError, match=refusal):
        convert(checkpoint, checkpoint.folder)
    with pytest.raises(UserError, match=refusal):
        export(checkpoint, checkpoint.folder, {})
