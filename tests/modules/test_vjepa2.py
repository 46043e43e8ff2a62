"""V-JEPA 2 with small random weights in transformers' format: equal to transformers, split, and trained."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoVideoProcessor, VJEPA2Config, VJEPA2ForVideoClassification, VJEPA2Model
from transformers.models.vjepa2.video_processing_vjepa2 import VJEPA2VideoProcessor

from pvchat.errors import UserError
from pvchat.modules.vjepa2 import VJEPA2

CONFIG = VJEPA2Config(
    patch_size=16,
    crop_size=64,
    frames_per_clip=4,
    tubelet_size=2,
    hidden_size=24,
    num_attention_heads=2,
    num_hidden_layers=3,
    mlp_ratio=2.0,
    initializer_range=0.2,
    pred_hidden_size=12,
    pred_num_attention_heads=2,
    pred_num_hidden_layers=1,
    pred_mlp_ratio=2.0,
)
PATCHES = 4 * 4


def save(folder: Path, kind: Any = VJEPA2Model, seed: int = 0) -> str:
    torch.manual_seed(seed)
    kind(CONFIG).save_pretrained(folder)
    VJEPA2VideoProcessor(
        crop_size=64, image_mean=[0.5, 0.4, 0.3], image_std=[0.25, 0.5, 0.2]
    ).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save(tmp_path_factory.mktemp("vjepa2"))


def video(frames: int, batch: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(frames)
    return torch.randint(0, 256, (batch, frames, 3, 64, 64), generator=generator).byte()


def theirs(source: str, shown: Tensor) -> Tensor:
    """Transformers' own way from frames to features; frames of the right size are neither resized nor cut."""
    processor = AutoVideoProcessor.from_pretrained(source)
    given = processor(list(shown), do_resize=False, do_center_crop=False, return_tensors="pt")
    with torch.no_grad():
        model = VJEPA2Model.from_pretrained(source).eval()
        return model(given["pixel_values_videos"], skip_predictor=True).last_hidden_state


@pytest.mark.parametrize("late", [0, 2, 3])
@pytest.mark.parametrize("frames", [1, 2, 4, 6])
def test_equals_transformers(source: str, frames: int, late: int) -> None:
    encoder, shown = VJEPA2(source=source, num_late_blocks=late).eval(), video(frames, batch=2)
    found = encoder.finish(encoder.embed(shown))
    torch.testing.assert_close(found, theirs(source, shown), atol=1e-5, rtol=1e-5)
    assert found.shape == (2, encoder.num_tokens(frames), encoder.width)
    assert encoder.num_tokens(frames) == max(1, frames // 2) * PATCHES


def test_frames_are_read_jointly_and_in_their_order(source: str) -> None:
    encoder, shown = VJEPA2(source=source), video(4)
    tokens = encoder.embed(shown)
    assert torch.equal(tokens, encoder.train().embed(shown))
    assert not torch.allclose(tokens[:, :PATCHES], encoder.embed(shown[:, :2]))
    assert not torch.allclose(
        tokens, encoder.embed(shown.flip(1)).unflatten(1, (2, -1)).flip(1).flatten(1, 2)
    )


def test_a_last_frame_without_partner_is_repeated(source: str) -> None:
    encoder, shown = VJEPA2(source=source), video(3)
    even = torch.cat([shown, shown[:, 2:]], 1)
    assert torch.equal(encoder.embed(shown), encoder.embed(even))
    assert encoder.num_tokens(3) == encoder.num_tokens(4) == 2 * PATCHES


def test_a_classifier_holds_the_same_encoder(tmp_path: Path) -> None:
    source = save(tmp_path, VJEPA2ForVideoClassification)
    torch.manual_seed(0)
    whole = VJEPA2ForVideoClassification.from_pretrained(source).vjepa2
    pixels = (video(2).float() / 255 - torch.tensor([0.5, 0.4, 0.3]).view(3, 1, 1)) / torch.tensor(
        [0.25, 0.5, 0.2]
    ).view(3, 1, 1)
    with torch.no_grad():
        expected = whole.get_vision_features(pixels)
    torch.testing.assert_close(VJEPA2(source=source).embed(video(2)), expected, atol=1e-5, rtol=1e-5)


def test_late_blocks_alone_learn(source: str) -> None:
    encoder = VJEPA2(source=source, num_late_blocks=1, dtype="bfloat16", gradient_checkpointing=True).train()
    tokens = encoder.embed(video(2))
    assert tokens.dtype == torch.bfloat16
    encoder.finish(tokens).square().sum().backward()
    moved = {n for n, p in encoder.named_parameters() if p.grad is not None and p.grad.any()}
    assert {n.split(".")[1] for n in moved} == {"layer", "layernorm"}
    assert all(n.startswith(("tower.layer.2.", "tower.layernorm.")) for n in moved)
    late = {id(p) for p in encoder.late_parameters()}
    for name, parameter in encoder.named_parameters():
        assert parameter.requires_grad == (id(parameter) in late), name
        assert parameter.dtype == (torch.float32 if id(parameter) in late else torch.bfloat16), name
    assert VJEPA2(source=source).late_parameters() == []


def test_checkpointed_blocks_have_the_same_gradient(source: str) -> None:
    gradients = []
    for saves in (False, True):
        encoder = VJEPA2(source=source, num_late_blocks=2, gradient_checkpointing=saves)
        encoder.finish(encoder.embed(video(2))).square().sum().backward()
        gradients.append([p.grad for p in encoder.late_parameters()])
    for plain, checkpointed in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, checkpointed)


def test_fingerprint_names_what_features_depend_on(source: str, tmp_path: Path) -> None:
    base = VJEPA2(source=source).fingerprint
    assert VJEPA2(source=source).fingerprint == base
    other = VJEPA2(source=save(tmp_path, seed=1)).fingerprint
    split = VJEPA2(source=source, num_late_blocks=1)
    assert len({base, other, split.fingerprint}) == 3
    changed = VJEPA2(source=source, num_late_blocks=1)
    with torch.no_grad():
        changed.blocks[2].norm1.weight.add_(1)  # behind the boundary
    assert changed.fingerprint == split.fingerprint


def test_late_blocks_are_some_of_the_encoders(source: str) -> None:
    with pytest.raises(UserError, match=r"num_late_blocks must be in 0..3, the blocks of the encoder: got 4"):
        VJEPA2(source=source, num_late_blocks=4)
