"""Parity with the public encoder (golden; tests/golden/make_internvideo2.py) and the split of ours."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from golden.noise import fill, noise
from safetensors.torch import load_file
from torch import Tensor, nn

from pvchat.errors import UserError
from pvchat.modules.internvideo2 import InternVideo2
from pvchat.modules.published.key_table import ENCODER, PublishedSizes, key_table

GOLDEN = load_file(Path(__file__).parent.parent / "golden" / "internvideo2.safetensors")
SMALL = PublishedSizes(
    encoder_width=32, encoder_blocks=3, encoder_heads=4, encoder_mlp=139, image_px=28, num_frames=8
)
WIDE = PublishedSizes(encoder_blocks=1, image_px=28, num_frames=4)


def build(sizes: PublishedSizes, **options: Any) -> InternVideo2:
    """Our encoder with the weights that the public one had."""
    with torch.device("meta"):
        encoder = InternVideo2(
            width=sizes.encoder_width,
            num_blocks=sizes.encoder_blocks,
            num_heads=sizes.encoder_heads,
            mlp_width=sizes.encoder_mlp,
            image_px=sizes.image_px,
            num_frames=sizes.num_frames,
            **options,
        )
    state = {
        key.ours.removeprefix(ENCODER): fill(key.published, torch.empty(key.shape)).view(key.our_shape)
        for key in key_table(sizes)
        if key.part == "encoder"
    }
    encoder.load_state_dict(state, assign=True)
    encoder.requires_grad_(False)
    for parameter in encoder.late_parameters():
        parameter.requires_grad_(True)
    return encoder.eval()


def video(batch: int, frames: int) -> Tensor:
    return (noise("video", batch, frames, 3, 28, 28) + 1) * 127.5


def tiny(**options: Any) -> InternVideo2:
    sizes = {"width": 16, "num_blocks": 3, "num_heads": 2, "mlp_width": 24, "image_px": 28, "num_frames": 4}
    return InternVideo2(**{**sizes, **options})


@pytest.mark.parametrize("num_late_blocks", [0, 2, 3])
@pytest.mark.parametrize("frames", [1, 4, 8])
def test_equals_the_public_encoder(frames: int, num_late_blocks: int) -> None:
    """One frame has a table of its own, eight have theirs, four are in between."""
    encoder = build(SMALL, num_late_blocks=num_late_blocks)
    tokens = encoder.finish(encoder.embed(video(2, frames)))
    assert tokens.shape == (2, encoder.num_tokens(frames), 32)
    torch.testing.assert_close(tokens, GOLDEN[f"small.{frames}"], atol=1e-5, rtol=0)


def test_a_block_of_the_published_width_equals_the_public_one() -> None:
    encoder = build(WIDE)
    torch.testing.assert_close(encoder.embed(video(1, 4)), GOLDEN["wide.4"], atol=1e-5, rtol=0)


def test_bytes_are_read_as_numbers_are() -> None:
    encoder = tiny()
    frames = torch.randint(0, 256, (1, 2, 3, 28, 28), dtype=torch.uint8)
    torch.testing.assert_close(encoder.embed(frames), encoder.embed(frames.double()), atol=1e-3, rtol=0)


def test_drop_path_grows_as_the_public_one_does() -> None:
    with torch.device("meta"):
        blocks = InternVideo2(num_late_blocks=39).blocks
    rates = torch.tensor([block.drop_path for block in blocks])
    torch.testing.assert_close(rates, GOLDEN["small.drop_path"])


def test_drop_path_in_distribution() -> None:
    """Half the videos lose an update, the others get it twice; the mean is the answer without drop path."""
    torch.manual_seed(0)
    encoder = tiny(num_blocks=1, num_late_blocks=1, drop_path=0.0)
    block = encoder.blocks[0]
    block.scale1.data.fill_(1.0)
    block.scale2.data.zero_()  # one update alone
    x = torch.randn(1, 5, 16).expand(4000, 5, 16)
    plain = block(x[:1]) - x[:1]
    block.drop_path = 0.5
    block.train()
    update = (block(x) - x).detach()
    dropped = update.flatten(1).abs().amax(1) < 1e-6
    assert dropped.float().mean() == pytest.approx(0.5, abs=4 * math.sqrt(0.25 / 4000))
    torch.testing.assert_close(
        update[~dropped], (2 * plain).expand_as(update[~dropped]), atol=1e-5, rtol=1e-4
    )
    block.eval()
    torch.testing.assert_close(block(x[:1]) - x[:1], plain)


def test_frozen_blocks_drop_nothing_late_ones_do() -> None:
    encoder = tiny(num_late_blocks=1, drop_path=0.9).train()
    assert [block.training for block in encoder.blocks] == [False, False, True]
    clip = video(4, 4)
    assert torch.equal(encoder.embed(clip), encoder.embed(clip))


def test_gradient_reaches_the_late_blocks_only() -> None:
    encoder = tiny(num_late_blocks=2)
    encoder.finish(encoder.embed(video(1, 4))).square().sum().backward()
    late = {id(parameter) for parameter in encoder.late_parameters()}
    assert all((p.grad is not None) == (id(p) in late) == p.requires_grad for p in encoder.parameters())
    assert all(p.grad.any() for p in encoder.late_parameters() if p.grad is not None and p.ndim > 1)
    assert encoder.norm.weight.requires_grad
    assert not any(p.requires_grad for p in tiny().parameters())


@pytest.mark.parametrize("drop_path", [0.0, 0.5])
def test_gradient_checkpointing_changes_no_gradient(drop_path: float) -> None:
    found = []
    for gradient_checkpointing in (False, True):
        torch.manual_seed(0)
        encoder = tiny(
            num_late_blocks=2, drop_path=drop_path, gradient_checkpointing=gradient_checkpointing
        ).train()
        encoder.finish(encoder.embed(video(2, 4))).square().sum().backward()
        found.append([p.grad for p in encoder.late_parameters()])
    for plain, again in zip(*found, strict=True):
        torch.testing.assert_close(plain, again)


def test_bfloat16_is_near_and_trains_in_float32() -> None:
    torch.manual_seed(0)
    exact = build(SMALL, num_late_blocks=1)
    half = build(SMALL, num_late_blocks=1)
    half._freeze(torch.bfloat16)
    tokens = half.embed(video(2, 8))
    out = half.finish(tokens)
    assert tokens.dtype == torch.bfloat16
    assert {p.dtype for p in half.late_parameters()} == {torch.float32}
    assert (out - exact.finish(exact.embed(video(2, 8)))).abs().mean() < 0.05
    out.sum().backward()
    assert {p.grad.dtype for p in half.late_parameters() if p.grad is not None} == {torch.float32}


def test_untrained_weights() -> None:
    torch.manual_seed(0)
    encoder = tiny(width=64, num_late_blocks=3)
    assert encoder.blocks[0].attention.qkv.weight.std().item() == pytest.approx(0.02, rel=0.1)
    assert encoder.video_positions.std().item() == pytest.approx(0.02, rel=0.1)
    assert torch.equal(encoder.blocks[0].scale1, torch.full((64,), 1e-5))
    assert torch.equal(encoder.blocks[0].attention.query_norm.weight, torch.ones(64))
    assert torch.equal(encoder.norm.bias, torch.zeros(64))
    assert not encoder.blocks[0].mlp[0].bias.any()


def test_fingerprint_names_the_frozen_half() -> None:
    def fingerprint(change: str | None = None, **options: Any) -> str:
        torch.manual_seed(0)
        encoder = tiny(num_late_blocks=1, **options)
        if change is not None:
            nn.init.normal_(encoder.get_parameter(change))
        return encoder.fingerprint

    plain = fingerprint()
    assert plain == fingerprint() == fingerprint("blocks.2.mlp.0.weight") == fingerprint("norm.weight")
    assert plain != fingerprint("blocks.1.mlp.0.weight")
    assert plain != fingerprint("image_positions")
    assert plain != fingerprint(dtype="bfloat16")


@pytest.mark.parametrize("shape", [(3, 28, 28), (2, 4, 3, 28, 42), (1, 0, 3, 28, 28), (1, 4, 1, 28, 28)])
def test_other_frames_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match=r"takes videos \(N, T, 3, 28, 28\): got "):
        tiny().embed(torch.zeros(shape))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_late_blocks": 4}, "num_late_blocks must be in 0..num_blocks: got 4, num_blocks=3"),
        ({"image_px": 30}, "image_px must be a multiple of patch_px: got 30, patch_px=14"),
        ({"num_frames": 1}, "num_frames must be >= 2: got 1"),
        ({"drop_path": 1.0}, r"drop_path must be in \[0, 1\): got 1.0"),
        ({"num_heads": 3}, "num_heads must divide width: got num_heads=3, width=16"),
    ],
)
def test_bad_settings(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        tiny(**options)
