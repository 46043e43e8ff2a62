"""The vision tower of Qwen3-VL with small random weights in transformers' format, whole model and tower."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import Tensor
from transformers import AutoVideoProcessor, Qwen3VLConfig, Qwen3VLForConditionalGeneration
from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLVisionModel
from transformers.models.qwen3_vl.video_processing_qwen3_vl import Qwen3VLVideoProcessor

from pvchat.errors import UserError
from pvchat.modules.qwen3_vl import Qwen3VL

CONFIG = Qwen3VLConfig(
    vision_config={
        "depth": 3,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_heads": 2,
        "patch_size": 8,
        "out_hidden_size": 40,
        "num_position_embeddings": 36,
        "deepstack_visual_indexes": [0, 1],
        "initializer_range": 0.2,
    },
    text_config={
        "vocab_size": 64,
        "hidden_size": 40,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 20,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [4, 3, 3]},
    },
)
PX = 64
MERGED = 4 * 4  # tokens of two frames


def save(folder: Path, kind: str = "whole", seed: int = 0) -> str:
    torch.manual_seed(seed)
    whole = Qwen3VLForConditionalGeneration(CONFIG)
    torch.nn.init.normal_(whole.model.visual.pos_embed.weight)
    (whole if kind == "whole" else whole.model.visual).save_pretrained(folder)
    Qwen3VLVideoProcessor(
        patch_size=8, image_mean=[0.5, 0.4, 0.3], image_std=[0.25, 0.5, 0.2]
    ).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module", params=["whole", "tower"])
def source(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    return save(tmp_path_factory.mktemp("qwen3_vl"), request.param)


def build(source: str, **options: Any) -> Qwen3VL:
    return Qwen3VL(source=source, **{"image_px": PX, "dtype": "float32", **options})


def video(frames: int, batch: int = 1, px: int = PX) -> Tensor:
    generator = torch.Generator().manual_seed(frames)
    return torch.randint(0, 256, (batch, frames, 3, px, px), generator=generator).byte()


def theirs(source: str, shown: Tensor) -> Tensor:
    """Transformers' own way from frames to what its language model reads: packed patches, one grid a clip."""
    processor = AutoVideoProcessor.from_pretrained(source)
    given = processor(list(shown), do_resize=False, do_sample_frames=False, return_tensors="pt")
    folder = Path(source)
    if "Conditional" in (folder / "config.json").read_text():
        tower = Qwen3VLForConditionalGeneration.from_pretrained(folder, dtype="float32").model.visual
    else:
        tower = Qwen3VLVisionModel.from_pretrained(folder, dtype="float32")
    with torch.no_grad():
        out = tower.eval()(given["pixel_values_videos"], grid_thw=given["video_grid_thw"])
    return out.pooler_output.unflatten(0, (len(shown), -1))


@pytest.mark.parametrize(("frames", "px"), [(1, 64), (2, 64), (3, 64), (4, 64), (2, 32), (4, 112)])
def test_equals_transformers(source: str, frames: int, px: int) -> None:
    """Odd counts too: its processor repeats the last frame."""
    encoder, shown = build(source, image_px=px), video(frames, 2, px)
    found = encoder.embed(shown)
    torch.testing.assert_close(found, theirs(source, shown), atol=1e-5, rtol=1e-5)
    assert found.shape == (2, encoder.num_tokens(frames), encoder.width)
    assert encoder.num_tokens(frames) == -(-frames // 2) * (px // 16) ** 2
    assert encoder.finish(found) is found


def test_pairs_of_frames_do_not_see_each_other(source: str) -> None:
    encoder, shown = build(source), video(4)
    tokens = encoder.embed(shown)
    assert torch.equal(tokens, encoder.train().embed(shown))
    torch.testing.assert_close(tokens[:, :MERGED], encoder.embed(shown[:, :2]))
    torch.testing.assert_close(tokens[:, MERGED:], encoder.embed(shown[:, 2:]))
    assert not torch.allclose(tokens[:, :MERGED], encoder.embed(shown[:, [1, 0]]))


def test_the_tower_alone_is_loaded_and_nothing_of_it_is_trained(tmp_path: Path) -> None:
    source = save(tmp_path)
    encoder = build(source, dtype="bfloat16")
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        kept = {k.removeprefix("model.visual.") for k in file.keys() if k.startswith("model.visual.")}  # noqa: SIM118
    names = {name.removeprefix("tower."): p for name, p in encoder.named_parameters()}
    assert names.keys() == {name for name in kept if "deepstack" not in name}
    assert encoder.late_parameters() == []
    assert not any(p.requires_grad for p in names.values())
    assert {p.dtype for p in names.values()} == {encoder.embed(video(1)).dtype} == {torch.bfloat16}


def test_fingerprint_names_what_features_depend_on(source: str, tmp_path: Path) -> None:
    base = build(source).fingerprint
    assert build(source).fingerprint == base
    other = build(save(tmp_path, seed=1)).fingerprint
    assert len({base, other, build(source, image_px=32).fingerprint}) == 3


def test_whole_and_tower_are_one_encoder(tmp_path: Path) -> None:
    whole, tower = (build(save(tmp_path / kind, kind)) for kind in ("whole", "tower"))
    assert whole.fingerprint == tower.fingerprint


@pytest.mark.parametrize("image_px", [0, 24])
def test_sizes_are_of_merged_patches(source: str, image_px: int) -> None:
    message = f"image_px must be a multiple of 16, the side of a merged patch: got {image_px}"
    with pytest.raises(UserError, match=message):
        build(source, image_px=image_px)
