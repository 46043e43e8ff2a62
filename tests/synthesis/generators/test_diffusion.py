"""Folders that hold no such pipeline, and pipelines there is no memory for."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from pvchat.errors import UserError
from pvchat.synthesis.generators.diffusion import Placement, folder_fingerprint, generating, load_pipeline

CPU = Placement(device="cpu", dtype="float32")


def test_other_folders_are_named(qwen_weights: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"must be a folder with a model_index\.json: .* is not"):
        load_pipeline("ConsisIDPipeline", tmp_path, CPU)
    with pytest.raises(UserError, match="holds a QwenImageEditPlusPipeline"):
        load_pipeline("ConsisIDPipeline", qwen_weights, CPU)
    with pytest.raises(UserError, match=r"must be a folder: .* is not"):
        folder_fingerprint(tmp_path / "none")


def test_pickled_weights_are_not_read(qwen_weights: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pickled"
    shutil.copytree(qwen_weights, folder)
    weights = next((folder / "vae").glob("*.safetensors"))
    torch.save({}, folder / "vae" / "diffusion_pytorch_model.bin")
    weights.unlink()
    with pytest.raises(UserError, match=r"must load: those of .*pickled do not"):
        load_pipeline("QwenImageEditPlusPipeline", folder, CPU)


def test_truncated_weights_are_named(qwen_weights: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cut"
    shutil.copytree(qwen_weights, folder)
    weights = next((folder / "transformer").glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"must load: those of .*cut do not"):
        load_pipeline("QwenImageEditPlusPipeline", folder, CPU)


def test_settings_reach_the_pipeline(qwen_weights: Path) -> None:
    pipeline = load_pipeline(
        "QwenImageEditPlusPipeline", qwen_weights, Placement(device="cpu", dtype="bfloat16", tiling=True)
    )
    assert pipeline.transformer.dtype == pipeline.vae.dtype == torch.bfloat16
    assert pipeline.vae.use_tiling


def test_offload_needs_a_gpu() -> None:
    with pytest.raises(UserError, match="got offload=model and no GPU"):
        Placement(device="cpu", offload="model")


def test_want_of_memory_is_a_sentence() -> None:
    with pytest.raises(UserError, match="Film needs more memory than the GPU has"), generating("Film"):
        raise torch.OutOfMemoryError("CUDA out of memory")


def test_a_fingerprint_is_of_names_and_content(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(300_000))
    (tmp_path / "index.json").write_text(json.dumps({}))
    own = folder_fingerprint(tmp_path)
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "note").write_text("downloaded today")
    assert folder_fingerprint(tmp_path) == own
    for place in (0, 150_000, 299_999):
        content = bytearray(300_000)
        content[place] = 1
        (tmp_path / "a").write_bytes(content)
        assert folder_fingerprint(tmp_path) != own
    (tmp_path / "a").write_bytes(bytes(300_000))
    (tmp_path / "a").rename(tmp_path / "b")
    assert folder_fingerprint(tmp_path) != own
