from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import Dinov2Config, Dinov2Model

from pvchat.assets import asset
from pvchat.errors import UserError
from pvchat.modules.vision import DinoViT, EmbeddedViT, RandomViT


def frames(n: int = 2, height: int = 40, width: int = 70) -> Tensor:
    return torch.randint(0, 256, (n, 3, height, width), dtype=torch.uint8)


def reference(model: Dinov2Model, images: Tensor, *, image_px: int, depth: int, grid: int) -> Tensor:
    """The plain model: normalise, hidden state ``depth``, final norm, mean of each cell of the grid."""
    pixels = F.interpolate(images / 255, (image_px, image_px), mode="bilinear", antialias=True)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    pixels = (pixels - mean[:, None, None]) / std[:, None, None]
    with torch.no_grad():
        hidden = model.eval()(pixels, output_hidden_states=True).hidden_states[depth]
        patches = model.layernorm(hidden)[:, 1:]
    side = image_px // model.config.patch_size
    cell = side // grid
    return patches.reshape(len(images), grid, cell, grid, cell, -1).mean((2, 4)).flatten(1, 2)


@pytest.mark.parametrize("num_late_blocks", [0, 1, 3])
@pytest.mark.parametrize("grid", [1, 2, 4])
def test_equals_the_plain_model(num_late_blocks: int, grid: int) -> None:
    config = Dinov2Config(
        hidden_size=32, num_hidden_layers=4, num_attention_heads=2, patch_size=7, image_size=42
    )
    model, images = Dinov2Model(config), frames()
    expected = reference(model, images, image_px=28, depth=3, grid=grid)
    encoder = DinoViT(model=model, image_px=28, num_late_blocks=num_late_blocks, grid=grid)
    tokens = encoder.embed(images)
    out = encoder.finish(tokens)
    assert tokens.shape == (2, encoder.boundary_tokens, encoder.width)
    assert out.shape == (2, encoder.tokens_per_image, encoder.width)
    torch.testing.assert_close(out, expected)


def test_embedded_weights_equal_the_plain_model() -> None:
    model, images = Dinov2Model.from_pretrained(asset("vit-s-focus")), frames(1)
    encoder = EmbeddedViT()
    out = encoder.finish(encoder.embed(images))
    assert out.shape == (1, 16, 384)
    torch.testing.assert_close(
        out, reference(model, images, image_px=112, depth=11, grid=4), atol=1e-4, rtol=1e-4
    )


def test_gradient_reaches_the_late_blocks_only() -> None:
    encoder = RandomViT(num_layers=4, num_late_blocks=2)
    encoder.finish(encoder.embed(frames())).square().sum().backward()
    late = encoder.late_parameters()
    assert late
    assert all(p.requires_grad and p.grad is not None and p.grad.abs().sum() > 0 for p in late)
    trunk = [p for p in encoder.parameters() if not any(p is q for q in late)]
    assert trunk
    assert all(not p.requires_grad and p.grad is None for p in trunk)


def test_nothing_is_late_without_late_blocks() -> None:
    encoder = RandomViT(num_late_blocks=0)
    assert encoder.late_parameters() == []
    assert not any(p.requires_grad for p in encoder.parameters())
    tokens = encoder.embed(frames())
    assert encoder.finish(tokens) is tokens


def test_the_trunk_stays_in_eval_mode() -> None:
    encoder = RandomViT().train()
    assert encoder.late.training
    assert not any(m.training for m in encoder.trunk.modules())


def test_fingerprint_follows_what_is_cached() -> None:
    base = RandomViT().fingerprint
    assert RandomViT().fingerprint == base
    assert RandomViT(seed=1).fingerprint != base
    assert RandomViT(num_late_blocks=2).fingerprint != base
    assert RandomViT(num_late_blocks=0).fingerprint != base
    assert RandomViT(image_px=28).fingerprint != base
    assert RandomViT(grid=4).fingerprint == base  # pooled after the boundary
    assert RandomViT(num_late_blocks=0, grid=4).fingerprint != RandomViT(num_late_blocks=0).fingerprint


def test_training_late_blocks_keeps_the_fingerprint() -> None:
    trained = RandomViT()
    with torch.no_grad():
        trained.late_parameters()[0].add_(1)
    assert trained.fingerprint == RandomViT().fingerprint


def test_random_weights_depend_on_the_seed_alone() -> None:
    torch.manual_seed(5)
    state, a = torch.get_rng_state(), RandomViT()
    assert torch.equal(state, torch.get_rng_state())
    images = frames()
    torch.manual_seed(6)
    assert torch.equal(a.embed(images), RandomViT().embed(images))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"image_px": 60}, "image_px must be a multiple of the patch size 14: got 60"),
        ({"grid": 3}, r"grid must divide the 4 patches of a side \(56 px\): got 3"),
        ({"num_late_blocks": 3}, r"num_late_blocks must be in 0..2 \(depth\): got 3"),
        ({"depth": 4}, r"depth must be in 1..3, the blocks of the encoder: got 4"),
    ],
)
def test_settings_are_checked(settings: dict[str, int], message: str) -> None:
    with pytest.raises(UserError, match=message):
        RandomViT(**settings)  # type: ignore[arg-type]


def test_source_may_be_a_folder(tmp_path: Path) -> None:
    config = Dinov2Config(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, patch_size=14, image_size=28
    )
    Dinov2Model(config).save_pretrained(tmp_path)
    assert EmbeddedViT(source=str(tmp_path), image_px=28, grid=1).width == 32


def test_source_that_cannot_be_reached() -> None:
    with pytest.raises(UserError, match=r"got 'nobody/nothing'.*embedded:vit-s-focus"):
        EmbeddedViT(source="nobody/nothing")


def test_source_of_another_architecture() -> None:
    with pytest.raises(UserError, match=r"must be a DINOv2 model: 'embedded:smollm2.*' is 'llama'"):
        EmbeddedViT(source="embedded:smollm2-135m-instruct")
