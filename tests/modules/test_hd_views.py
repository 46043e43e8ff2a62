"""Equal to the public loader of InternVideo2-Chat-8B-HD (golden; tests/golden/make_internvideo2.py)."""

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from golden.noise import noise
from safetensors.torch import load_file
from tiny import DrawnFaces, draw
from torch import Tensor

from pvchat.batch import Clip, stack_features
from pvchat.datamodules.cache import FeatureCache
from pvchat.datamodules.video import decode, sample_indices
from pvchat.errors import UserError
from pvchat.modules.hd_views import HDViews, hd_views
from pvchat.modules.internvideo2 import InternVideo2

GOLDEN = load_file(Path(__file__).parent.parent / "golden" / "internvideo2.safetensors")
MEAN = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)


def test_indices_equal_the_public_loader() -> None:
    for count, expected in enumerate(GOLDEN["indices"].tolist(), start=1):
        assert sample_indices(count, 8, "middle") == expected


def test_frames_and_views_equal_the_public_loader() -> None:
    frames = ((noise("clip", 9, 20, 34, 3) + 1) * 127.5).round().to(torch.uint8).permute(0, 3, 1, 2)
    views = hd_views(frames[sample_indices(9, 8, "middle")], view_px=14)
    torch.testing.assert_close((views / 255 - MEAN) / STD, GOLDEN["views"], atol=1e-5, rtol=0)


def test_a_real_clip_equals_the_public_loader(media: Path) -> None:
    shown = decode(media / "talking" / "d0.mp4", num_frames=8, frame_policy="middle", max_px=None)
    views = hd_views(torch.from_numpy(shown.frames).permute(0, 3, 1, 2), view_px=14)
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


def encoder(*, late: int = 1, dtype: Any = "float32") -> InternVideo2:
    torch.manual_seed(0)
    model = InternVideo2(
        width=16,
        num_blocks=3,
        num_heads=2,
        mlp_width=24,
        image_px=28,
        num_frames=4,
        drop_path=0.0,
        num_late_blocks=late,
        dtype=dtype,
    )
    for name, parameter in model.named_parameters():
        if "scale" in name:  # of residuals, which start close to nothing
            torch.nn.init.constant_(parameter, 0.5)
    return model


def clip(frames: int = 4, *people: str) -> Clip:
    drawn = np.stack([draw(people or ("tom",), "red", "inside", shift=t) for t in range(frames)])
    return Clip(drawn, np.arange(frames, dtype=np.float64), "key")


@pytest.mark.parametrize("frames", [1, 4])
def test_shapes_are_known_without_a_clip(frames: int) -> None:
    views = HDViews(encoder=encoder(), faces=DrawnFaces())
    features = views.extract(clip(frames))
    found = {name: tuple(f.shape) for name, f in features.items() if not name.endswith(".mask")}
    assert views.shapes(frames) == found


def test_features_are_those_of_each_view_as_video_and_as_image() -> None:
    views, shown = HDViews(encoder=encoder()), clip()
    features = views.extract(shown)
    assert {name: tuple(tensor.shape) for name, tensor in features.items()} == {
        "image": (3, 1 + 4, 16),
        "image.mask": (3,),
        "video": (3, 1 + 4 * 4, 16),
        "video.mask": (3,),
    }
    cut = hd_views(torch.from_numpy(shown.frames).permute(0, 3, 1, 2), view_px=28)
    for number in range(3):
        one, first = cut[number : number + 1], cut[number : number + 1, :1]
        torch.testing.assert_close(features["video"][number], views.encoder.embed(one)[0])
        torch.testing.assert_close(features["image"][number], views.encoder.embed(first)[0])
    assert not torch.allclose(features["image"][:, 1:], features["video"][:, 1:5])  # positions of their own
    assert set(views.extract(clip(1))) == {"image", "image.mask"}


@pytest.mark.parametrize("late", [0, 1])
def test_context_is_one_pass_for_each_view_of_each_clip(late: int) -> None:
    views = HDViews(encoder=encoder(late=late))
    features = [views.show(views.extract(c), None) for c in (clip(4, "tom"), clip(4, "ann"))]
    context, mask = views(*stack_features(features))
    assert (context.shape, mask) == ((6, 17, 16), None)
    for row, (number, view) in enumerate(itertools.product(range(2), range(3))):
        one = views.encoder.finish(features[number]["video"][view : view + 1])
        torch.testing.assert_close(context[row : row + 1], one)
    if late:
        context.square().sum().backward()
    moved = {n for n, p in views.named_parameters() if p.grad is not None and p.grad.any()}
    assert {n.split(".")[1] for n in moved} == ({"blocks", "norm"} if late else set())
    assert all(n.startswith(("encoder.blocks.2.", "encoder.norm.")) for n in moved)
    assert views.bridge_parameters() == []
    assert len(views.late_parameters()) == (15 if late else 0)


def test_features_keep_the_type_of_the_frozen_weights_in_the_cache_too(tmp_path: Path) -> None:
    views = HDViews(encoder=encoder(dtype="bfloat16"))
    features = views.extract(clip())
    assert features["video"].dtype == features["image"].dtype == torch.bfloat16
    for _ in range(2):  # written, then read
        kept = FeatureCache(tmp_path).get_or_compute("key", lambda: features)
        assert all(torch.equal(kept[name], tensor) for name, tensor in features.items())
    context, _ = views(*stack_features([views.show(features, None)]))
    assert context.dtype == torch.float32


def test_a_stage_shows_the_video_or_the_image() -> None:
    views = HDViews(encoder=encoder())
    features = views.extract(clip())
    for count in (None, 4, 9):
        assert set(views.show(features, count)) == {"video", "video.mask"}
    assert set(views.extractor.show(features, 1)) == {"image", "image.mask"}
    assert set(views.show(views.extract(clip(1)), None)) == {"image", "image.mask"}
    views.check_frames(8, (1, None))
    message = "reads frames jointly: num_frames of a stage must be 1 or null, got 3"
    with pytest.raises(UserError, match=message):
        views.show(features, 3)
    with pytest.raises(UserError, match=message):
        views.check_frames(8, (1, 3))


def test_blanked_clips_show_no_head() -> None:
    views, shown = HDViews(encoder=encoder(), faces=DrawnFaces()), clip()
    features = views.extractor(shown, blank_faces=True)
    painted = replace(shown, frames=DrawnFaces().blank_heads(shown.frames))
    assert (painted.frames.max(-1) < 180).all()
    assert torch.equal(features["video"], views.extract(painted)["video"])
    assert torch.equal(features["image"], views.extract(painted)["image"])
    assert not torch.equal(features["video"], views.extract(shown)["video"])


def test_fingerprint_names_what_features_depend_on() -> None:
    base = HDViews(encoder=encoder()).fingerprint
    assert HDViews(encoder=encoder()).extractor.fingerprint == base
    others = [HDViews(encoder=encoder(), columns=3), HDViews(encoder=encoder(), rows=2)]
    others += [HDViews(encoder=encoder(late=2)), HDViews(encoder=encoder(), faces=DrawnFaces())]
    assert len({base, *(other.fingerprint for other in others)}) == 5
    changed = HDViews(encoder=encoder())
    with torch.no_grad():
        changed.encoder.blocks[2].scale1.add_(1)  # behind the boundary
    assert changed.fingerprint == base


def test_grid_is_positive() -> None:
    with pytest.raises(UserError, match="columns and rows must be >= 1: got columns=0, rows=1"):
        HDViews(encoder=encoder(), columns=0)
