"""Encoders of other libraries with small random weights, in their own formats."""

import json
from pathlib import Path

import pytest
import torch
from tiny import DrawnFaces, make_batch, make_chat
from transformers import (
    CLIPVisionConfig,
    CLIPVisionModel,
    Dinov2Config,
    Dinov2Model,
    DINOv3ViTConfig,
    DINOv3ViTModel,
    Siglip2VisionConfig,
    Siglip2VisionModel,
    SiglipConfig,
    SiglipModel,
    SiglipVisionConfig,
    SiglipVisionModel,
)

from pvchat.errors import UserError
from pvchat.modules.frozen_vision import FrozenVision, OpenCLIPVision, TimmVision, TransformersVision
from pvchat.modules.views import ClipViews

SMALL = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": 64,
    "patch_size": 16,
}
MODELS = {
    "siglip": (SiglipVisionConfig, SiglipVisionModel),
    "dinov2": (Dinov2Config, Dinov2Model),
    "dinov3": (DINOv3ViTConfig, DINOv3ViTModel),
    "clip": (CLIPVisionConfig, CLIPVisionModel),
}


def saved(kind: str, folder: Path) -> str:
    config, model = MODELS[kind]
    torch.manual_seed(0)
    model(config(**SMALL)).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(
        json.dumps(
            {
                "image_processor_type": "SiglipImageProcessor",
                "image_mean": [0.5, 0.4, 0.3],
                "image_std": [0.25, 0.5, 0.2],
                "size": {"height": 64, "width": 64},
            }
        )
    )
    return str(folder)


def frames(count: int = 2, side: int = 64) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, side, side), generator=torch.Generator().manual_seed(0)).byte()


def check(encoder: FrozenVision, expected: torch.Tensor, shown: torch.Tensor) -> None:
    """Pooled patches of the whole model; nothing to train; unmoved by training mode."""
    torch.testing.assert_close(encoder.embed(shown), expected, atol=1e-5, rtol=1e-5)
    assert torch.equal(encoder.train().embed(shown), encoder.eval().embed(shown))
    assert encoder.finish(expected) is expected
    assert encoder.late_parameters() == []
    assert not any(p.requires_grad for p in encoder.parameters())
    assert len(encoder.fingerprint) == 16


def pooled(patches: torch.Tensor, grid: int) -> torch.Tensor:
    """Means over squares of patches, by loops."""
    side = int(patches.shape[1] ** 0.5)
    step = side // grid
    square = patches.reshape(len(patches), side, side, -1)
    cells = [
        square[:, r * step : (r + 1) * step, c * step : (c + 1) * step].flatten(1, 2).mean(1)
        for r in range(grid)
        for c in range(grid)
    ]
    return torch.stack(cells, 1)


@pytest.mark.parametrize("kind", MODELS)
def test_transformers(kind: str, tmp_path: Path) -> None:
    source = saved(kind, tmp_path)
    encoder = TransformersVision(source=source, grid=2)
    shown = frames()
    pixels = (shown.float() / 255 - torch.tensor([0.5, 0.4, 0.3]).view(3, 1, 1)) / torch.tensor(
        [0.25, 0.5, 0.2]
    ).view(3, 1, 1)
    with torch.no_grad():
        whole = MODELS[kind][1].from_pretrained(source).eval()(pixel_values=pixels).last_hidden_state
    check(encoder, pooled(whole[:, -16:], 2), shown)
    assert encoder.width == 32
    assert TransformersVision(source=source, grid=4).fingerprint != encoder.fingerprint


def test_siglip_2_is_the_vision_half_of_two(tmp_path: Path) -> None:
    """The published folders of a fixed size hold text and vision, and are of type siglip."""
    source = saved("siglip", tmp_path)  # for its processor
    halves = SMALL | {"vocab_size": 9, "max_position_embeddings": 8}
    whole = SiglipModel(SiglipConfig(text_config=halves, vision_config=SMALL)).eval()
    whole.save_pretrained(tmp_path)
    encoder, shown = TransformersVision(source=source, grid=4), frames()
    pixels = (shown / 255 - encoder.mean) / encoder.std
    with torch.no_grad():
        check(encoder, whole.vision_model(pixel_values=pixels).last_hidden_state, shown)
    assert not any("text" in name for name, _ in encoder.named_parameters())


def test_naflex_is_refused(tmp_path: Path) -> None:
    source = saved("siglip", tmp_path)
    sizes = {name: value for name, value in SMALL.items() if name != "image_size"}
    Siglip2VisionModel(Siglip2VisionConfig(**sizes, num_patches=16)).save_pretrained(tmp_path)
    with pytest.raises(
        UserError, match=r"must read squares of one size: .* \(siglip2_vision_model\) does not"
    ):
        TransformersVision(source=source)


def test_it_takes_the_place_of_any_encoder(tmp_path: Path) -> None:
    """A step with its features moves what is trained."""
    encoder = TransformersVision(source=saved("siglip", tmp_path), grid=2)
    chat = make_chat(views=ClipViews(encoder=encoder, faces=DrawnFaces(), max_frames=4))
    out = chat(make_batch(chat, ("Is <tom> here?", "Yes.")))
    out.logits.sum().backward()
    assert chat.views.view_embeddings.grad is not None
    assert chat.qformer.query_tokens.grad.any()


def test_timm() -> None:
    torch.manual_seed(0)
    encoder = TimmVision(name="test_vit", pretrained=False, grid=2)
    shown = frames(side=encoder.image_px)
    pixels = (shown.float() / 255 - encoder.mean) / encoder.std
    with torch.no_grad():
        whole = encoder.tower.forward_features(pixels)
    check(encoder, pooled(whole[:, encoder.tower.num_prefix_tokens :], 2), shown)


def test_open_clip() -> None:
    torch.manual_seed(0)
    encoder = OpenCLIPVision(name="ViT-S-32-alt", pretrained=None, grid=7)
    shown = frames(1, encoder.image_px)
    pixels = (shown.float() / 255 - encoder.mean) / encoder.std
    encoder.tower.output_tokens = True
    with torch.no_grad():
        _, tokens = encoder.tower(pixels)
    check(encoder, pooled(tokens, 7), shown)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: TransformersVision(source="/nowhere"), "cannot load the vision encoder '/nowhere'"),
        (lambda: TimmVision(name="no_such_model", pretrained=False), "cannot make the timm model"),
        (lambda: OpenCLIPVision(name="no-such-model", pretrained=None), "cannot make the open_clip model"),
        (lambda: TimmVision(name="test_vit", pretrained=False, grid=3).embed(frames()), "grid must divide"),
    ],
)
def test_refusals(make: object, said: str) -> None:
    with pytest.raises(UserError, match=said):
        make()  # type: ignore[operator]
