"""Equal to the public loader of InternVideo2-Chat-8B-HD (golden; tests/golden/make_internvideo2.py)."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from golden.noise import noise
from safetensors.torch import load_file
from torch import Tensor

from pvchat.datamodules.hd_views import hd_views
from pvchat.datamodules.video import decode, sample_indices
from pvchat.errors import UserError

GOLDEN = load_file(Path(__file__).parent.parent / "golden" / "internvideo2.safetensors")
MEAN = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)


def test_indices_equal_the_public_loader() -> None:
    for count, expected in enumerate(GOLDEN["indices"].tolist(), start=1):
        assert sample_indices(count, 8, "middle") == expected


def test_frames_and_views_equal_the_public_loader() -> None:
    clip = ((noise("clip", 9, 20, 34, 3) + 1) * 127.5).round().to(torch.uint8).permute(0, 3, 1, 2)
    views = hd_views(clip[sample_indices(9, 8, "middle")], view_px=14)
    torch.testing.assert_close((views / 255 - MEAN) / STD, GOLDEN["views"], atol=1e-5, rtol=0)


def test_a_real_clip_equals_the_public_loader(media: Path) -> None:
    clip = decode(media / "talking" / "d0.mp4", num_frames=8, frame_policy="middle", max_px=None)
    views = hd_views(torch.from_numpy(clip.frames).permute(0, 3, 1, 2), view_px=14)
    torch.testing.assert_close((views[:, ::2] / 255 - MEAN) / STD, GOLDEN["clip"], atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", [(360, 640), (640, 360), (50, 50), (224, 448)])
def test_two_crops_side_by_side_then_the_whole(size: tuple[int, int]) -> None:
    frames = torch.rand(2, 3, *size) * 255
    views = hd_views(frames)
    whole = F.interpolate(frames, (224, 448), mode="bicubic")
    assert views.shape == (3, 2, 3, 224, 224)
    assert torch.equal(torch.cat([views[0], views[1]], -1), whole)
    assert torch.equal(views[2], F.interpolate(whole, (224, 224), mode="bicubic"))


def test_rows_are_cut_before_columns() -> None:
    corners = torch.tensor([[10.0, 20, 30], [40, 50, 60]]).repeat_interleave(8, 0).repeat_interleave(8, 1)
    views = hd_views(corners.expand(1, 3, 16, 24), view_px=8, columns=3, rows=2)
    assert views[:6].mean((1, 2, 3, 4)).tolist() == pytest.approx([10, 20, 30, 40, 50, 60], abs=0.5)


@pytest.mark.parametrize("frames", [torch.zeros(3, 4, 4), torch.zeros(0, 3, 4, 4), torch.zeros(1, 1, 4, 4)])
def test_other_shapes_are_refused(frames: Tensor) -> None:
    with pytest.raises(UserError, match=r"views are cut from frames \(T, 3, H, W\): got"):
        hd_views(frames)


def test_sizes_are_positive() -> None:
    with pytest.raises(UserError, match="view_px, columns and rows must be >= 1: got view_px=0"):
        hd_views(torch.zeros(1, 3, 4, 4), view_px=0)
