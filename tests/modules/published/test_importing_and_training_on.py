"""A checkpoint through every command: imported, trained, exported, imported, trained on."""

import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny import ROOT
from tiny_checkpoint import NUM_SHARDS, SIZES, make_checkpoint
from torch import Tensor

from pvchat import cli
from pvchat.modules.published import importing
from pvchat.modules.published.exchange import EXTRA
from pvchat.modules.published.key_table import NAME, key_table
from pvchat.modules.published.released_names import released
from pvchat.runs import find_run

EXPERIMENT = ("-c", str(ROOT / "experiments" / "pvchat.yaml"), "-c", str(ROOT / "tests" / "tiny_pvchat.yaml"))
GROUPS = ("token_rows", "qformer", "router", "lora", "encoder_late")
PLACES = {key.ours: key for key in key_table(SIZES)}


def read(folder: Path) -> dict[str, Tensor]:
    return {n: v for path in sorted(folder.glob("model-*.safetensors")) for n, v in load_file(path).items()}


def is_trained(published: str) -> bool:
    """What the video stage trains: late block and norm, Q-former without its text, projection, LoRA."""
    of_text = re.search(r"embeddings\.(word|pos)|layer\.\d+\.(intermediate|output)\.", published)
    parts = ("vision_encoder.blocks.2.", "vision_layernorm.", "qformer.", "project_up.")
    return not of_text and (
        published.startswith(parts) or "query_tokens" in published or ".lora_" in published
    )


def without_gradient(name: str) -> bool:
    """Softmax does not see biases of keys; nothing in this experiment has a loss on the presence head."""
    return name.endswith("key.bias") or "presence_head" in name


@pytest.mark.slow
def test_only_what_is_trained_changes_from_command_to_command(
    tiny_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(importing.CHECKPOINTS, NAME, SIZES)
    make_checkpoint(tmp_path)
    published, first, second = (tmp_path / name for name in ("published", "first", "second"))
    assert len(list(published.glob("model-*"))) == NUM_SHARDS

    def command(*words: object) -> None:
        assert cli.main([str(word) for word in words]) == 0

    def fit(name: str, checkpoint: Path, rate: float, *more: str) -> dict[str, Tensor]:
        """The adapter after an epoch of the image and of the video stage; untouched if the rate is 0."""
        monkeypatch.setenv("PVCHAT_CHECKPOINT", str(checkpoint))
        data = (f"--data.source.path={tiny_corpus}", f"--data.cache_dir={tmp_path / 'cache'}")
        rates = [f"--model.learning_rates.{group}={rate}" for group in GROUPS]
        few = "--data.questions_per_clip=1"
        command("fit", *EXPERIMENT, *data, *rates, few, f"--name={name}", f"--runs={tmp_path}", *more)
        return load_file(find_run(tmp_path / name) / "adapter" / "adapter.safetensors")

    def export(name: str, checkpoint: Path) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        adapter, out = find_run(tmp_path / name) / "adapter", tmp_path / f"{name}-exported"
        command("export-checkpoint", NAME, checkpoint, "--adapter", adapter, "--out", out)
        return read(out), load_file(out / EXTRA)

    command("import-checkpoint", NAME, published, "--out", first)
    start, trained = fit("start", first, 0.0), fit("trained", first, 0.02)
    moved = {name for name, value in trained.items() if not torch.equal(value, start[name])}
    assert {n for n in trained if not without_gradient(n)} <= moved

    before, (after, extra) = read(published), export("trained", first)
    assert after.keys() == before.keys()
    changed = {name for name, value in before.items() if not torch.equal(after[name], value)}
    assert {n for n in before if is_trained(n) and not without_gradient(n)} <= changed
    assert changed <= {n for n in before if is_trained(n)}
    ours = {name.removeprefix("chat.").replace(".base_layer", ""): value for name, value in trained.items()}
    new = dict(released(name, value) for name, value in ours.items() if name not in PLACES)
    assert extra.keys() == new.keys()
    assert all(torch.equal(extra[name], value) for name, value in new.items())
    rows = (1 + 2, SIZES.lm_width)  # a name and two soft tokens, float32, beside the vocabulary
    assert extra["language_model.token_rows.input_rows"].shape == rows
    assert extra["language_model.token_rows.output_rows"].any()
    assert sum("router_alpha" in name for name in extra) == 3 * 3  # layers 2 and 3, one of them crosses
    assert extra["personal_query_tokens"].shape == (1, 4, SIZES.qformer_width)

    command("import-checkpoint", NAME, tmp_path / "trained-exported", "--out", second)
    again = fit("again", second, 0.0)
    for name, value in trained.items():
        place = name.removeprefix("chat.").replace(".base_layer", "")
        kept = value.bfloat16().float() if place in PLACES else start[name]
        assert torch.equal(again[name], kept), name
    whole = fit("whole", second, 0.0, f"--init_from={tmp_path / 'trained'}")  # the frozen base is the same
    assert all(torch.equal(whole[name], value) for name, value in trained.items())
    fit("further", second, 0.02, f"--init_from={tmp_path / 'trained'}")
    further, _ = export("further", second)
    changed = {name for name, value in after.items() if not torch.equal(further[name], value)}
    assert {n for n in after if is_trained(n) and not without_gradient(n)} <= changed
    assert changed <= {n for n in after if is_trained(n)}
