from typing import Any

import numpy as np
import pytest
import torch
from skimage.data import astronaut

from pvchat.batch import Clip, Features, stack_features
from pvchat.errors import UserError
from pvchat.faces import Face, FaceAnalyzer, Frame, Vector
from pvchat.modules.views import ClipViews
from pvchat.modules.vision import EmbeddedViT, RandomViT


class PaintedFaces(FaceAnalyzer):
    """Sees the red (person 0) and green (person 1) rectangles of ``scene`` as faces."""

    def detect(self, frames: Frame, *, min_probability: float | None = None) -> list[list[Face]]:
        found: list[list[Face]] = []
        for frame in frames:
            found.append([])
            for channel in (0, 1):
                rows, columns = np.nonzero(frame[..., channel] > 250)
                if len(rows):
                    box = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], np.float32)
                    found[-1].append(Face(box, np.zeros((5, 2), np.float32), 1.0))
            found[-1].sort(key=lambda face: -face.area)
        return found

    def embed(self, frame: Frame, face: Face) -> Vector:
        x, y = int(face.box[0]), int(face.box[1])
        return np.eye(128, dtype=np.float32)[0 if frame[y, x, 0] > 250 else 1]


def scene(*persons: tuple[int, ...], size: tuple[int, int] = (60, 90)) -> Clip:
    """One frame for each argument: which persons are in it. Person 1's face is the smaller one."""
    frames = np.random.randint(0, 200, (len(persons), *size, 3), dtype=np.uint8)
    for frame, present in zip(frames, persons, strict=True):
        if 0 in present:
            frame[10:34, 10:34] = (255, 0, 0)
        if 1 in present:
            frame[20:36, 60:76] = (0, 255, 0)
    return Clip(frames, np.arange(len(persons), dtype=np.float64), "scene")


def build(**settings: Any) -> ClipViews:
    torch.manual_seed(0)
    return ClipViews(**{"encoder": RandomViT(), "faces": PaintedFaces(), **settings})


def forward(views: ClipViews, *features: Features) -> tuple[torch.Tensor, torch.Tensor]:
    context, mask = views(*stack_features(features))
    return context, mask


def test_features_are_small_and_on_the_cpu() -> None:
    features = build().extract(scene((0,), (0,), ()))
    assert {k: tuple(v.shape) for k, v in features.items()} == {
        "global": (3, 17, 64),
        "face": (3, 17, 64),
        "identity": (3, 1, 128),
        "global.mask": (3,),
        "face.mask": (3,),
        "identity.mask": (3,),
    }
    for name, value in features.items():
        assert value.dtype == (torch.bool if name.endswith(".mask") else torch.float16)
        assert value.device.type == "cpu"
        assert not value.requires_grad


@pytest.mark.parametrize("settings", [{}, {"num_faces": 2}, {"names": ("face", "identity")}])
def test_shapes_are_known_without_a_clip(settings: dict[str, Any]) -> None:
    views = build(**settings)
    features = views.extract(scene((0,), (0,), ()))
    found = {name: tuple(f.shape) for name, f in features.items() if not name.endswith(".mask")}
    assert views.shapes(3) == found


def test_a_frame_without_a_face_shows_none() -> None:
    features = build().extract(scene((0,), ()))
    for name in ("face", "identity"):
        assert features[f"{name}.mask"].tolist() == [True, False]
        assert features[name][0].any()
        assert not features[name][1].any()
    assert features["global.mask"].all()


def test_context_and_its_mask() -> None:
    views = build()
    context, mask = forward(views, views.extract(scene((0,), ())), views.extract(scene((0,), (0,))))
    assert views.context_width == 64
    assert context.shape == (2, 2 * (4 + 4 + 4), 64)
    assert mask.sum(1).tolist() == [8 + 4 + 4, 24]
    assert torch.isfinite(context).all()
    assert not context[~mask].any()


@pytest.mark.parametrize("names", [("global",), ("identity",), ("face", "global")])
def test_views_are_a_choice(names: tuple[Any, ...]) -> None:
    views = build(names=names)
    features = views.extract(scene((0,)))
    assert {n for n in features if "." not in n} == set(names)
    context, mask = forward(views, features)
    assert context.shape[1] == mask.shape[1] == 4 * len(names)


def test_every_trainable_parameter_takes_part() -> None:
    views = build()
    context, _ = forward(views, views.extract(scene((0,), (0,))))
    context.square().sum().backward()
    assert [n for n, p in views.named_parameters() if p.requires_grad and p.grad is None] == []
    assert views.late_parameters() == views.encoder.late_parameters()


def test_learned_positions_start_at_zero() -> None:
    views = build()
    for name in ("view", "frame", "face"):
        assert not getattr(views, f"{name}_embeddings").any()


def test_frames_and_views_can_be_told_apart() -> None:
    views = build(names=("global",))
    still = Clip(np.repeat(scene(()).frames, 2, 0), np.arange(2.0), "still")
    features = views.extract(still)
    same, _ = forward(views, features)
    assert torch.equal(same[0, :4], same[0, 4:])
    torch.nn.init.normal_(views.frame_embeddings)
    moved, _ = forward(views, features)
    assert not torch.allclose(moved[0, :4], moved[0, 4:])


def test_first_frame_alone_is_a_valid_batch() -> None:
    views = build()
    batch, masks = stack_features([views.extract(scene((0,), (0,)))])
    context, _ = views({k: v[:, :1] for k, v in batch.items()}, {k: v[:, :1] for k, v in masks.items()})
    assert context.shape[1] == 12


def test_two_persons_keep_their_places() -> None:
    views = build(num_faces=2)
    features = views.extract(scene((0, 1), (1,), (0,)))
    ids = features["identity"].argmax(-1)
    assert features["identity"].shape == (3, 2, 128)
    assert features["face"].shape == (3, 2 * 17, 64)
    assert ids[0].tolist() == [0, 1]
    context, mask = forward(views, features)
    assert context.shape[1] == mask.shape[1] == 3 * (4 + 2 * 4 + 2 * 4)
    assert mask[0].sum() == 3 * 4 + 4 * (4 + 4)  # four faces in three frames


def test_blanked_faces_lose_the_person() -> None:
    views, clip = build(), scene((0,), ())
    before = clip.frames.copy()
    plain, blanked = views.extract(clip), views.extract(clip, blank_faces=True)
    assert np.array_equal(clip.frames, before)
    assert not blanked["identity.mask"].any()
    assert not blanked["face.mask"].any()
    assert not blanked["identity"].any()
    assert not torch.equal(plain["global"][0], blanked["global"][0])


def test_blanking_covers_the_frame_where_the_face_was_missed() -> None:
    clip = scene((0,), ())
    painted = build().faces.blank_heads(clip.frames)
    assert not np.array_equal(painted[1, 10:34, 10:34], clip.frames[1, 10:34, 10:34])
    assert np.array_equal(painted[:, :, 60:], clip.frames[:, :, 60:])  # the head, not the scene


def test_blanking_covers_doubtful_faces_that_the_views_do_not_show() -> None:
    """A missed one would leak the answer to the control."""

    class Doubtful(PaintedFaces):
        """Is .75 sure of what it sees."""

        def detect(self, frames: Frame, *, min_probability: float | None = None) -> list[list[Face]]:
            least = self.min_probability if min_probability is None else min_probability
            return [f if least <= 0.75 else [] for f in super().detect(frames)]

    views, clip = build(faces=Doubtful()), scene((0,))
    assert not views.extract(clip)["identity.mask"].any()
    painted = views.faces.blank_heads(clip.frames)
    assert not (painted[0, 10:34, 10:34] == (255, 0, 0)).all(-1).any()


def test_fingerprint_names_what_features_depend_on() -> None:
    base = build().fingerprint
    assert build().fingerprint == base
    assert build().extractor.fingerprint == base
    assert build(encoder=RandomViT(num_late_blocks=2)).fingerprint != base
    assert build(names=("global",)).fingerprint != base
    assert build(face_margin=0.5).fingerprint != base
    assert build(num_faces=2).fingerprint != base
    assert build(faces=FaceAnalyzer(detect_px=320)).fingerprint != base
    assert build(max_frames=4).fingerprint == base


def test_extractor_is_what_the_datamodule_wants() -> None:
    views, clip = build(), scene((0,))
    features = views.extractor(clip, blank_faces=True)
    assert torch.equal(features["global"], views.extract(clip, blank_faces=True)["global"])


def test_extraction_is_the_same_in_training_mode() -> None:
    views, clip = build(), scene((0,))
    assert torch.equal(views.train().extract(clip)["face"], views.eval().extract(clip)["face"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"names": ("globe",)}, r"views must be some of \['global', 'face', 'identity'\].*got \['globe'\]"),
        ({"names": ()}, r"got \[\]"),
        ({"names": ("face", "face")}, "each once"),
        ({"num_faces": 0}, "num_faces must be >= 1: got 0"),
    ],
)
def test_settings_are_checked(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        build(**settings)


def test_too_many_frames() -> None:
    views = build(max_frames=2)
    with pytest.raises(UserError, match="at most max_frames=2 frames: got 3"):
        forward(views, views.extract(scene((), (), ())))


def test_real_face_from_end_to_end() -> None:
    views = ClipViews(encoder=EmbeddedViT())
    clip = Clip(np.stack([astronaut(), np.zeros_like(astronaut())]), np.arange(2.0), "astronaut")
    features = views.extract(clip)
    assert features["identity.mask"].tolist() == [True, False]
    assert float(features["identity"][0].float().norm()) == pytest.approx(1.4, abs=0.3)
    blanked = views.extract(clip, blank_faces=True)
    assert blanked["identity.mask"].tolist() == [False, False]
    context, mask = forward(views, features, blanked)
    assert context.shape == (2, 2 * 36, 384)
    assert mask.sum(1).tolist() == [32 + 16 + 4, 32]


def test_face_embeddings_are_centred_once_on_the_training_clips() -> None:
    views = build(names=("identity",))
    features = [views.extract(scene((0,))), views.extract(scene((1,)))]
    views.standardise(features)
    mean, scale = views.identity.mean.clone(), views.identity.scale.clone()
    rows = torch.cat([f["identity"].reshape(-1, 128).float() for f in features])
    assert torch.allclose(mean, rows.mean(0))
    assert torch.isclose(scale, 1 / rows.std(0).mean())
    other = {"identity": torch.randn(9, 1, 128), "identity.mask": torch.ones(9).bool()}
    views.standardise([other])  # a resumed or warm-started run keeps what it has
    assert torch.equal(views.identity.mean, mean)
    assert torch.equal(views.identity.scale, scale)


def test_view_dropout_hides_views_in_training_and_never_all() -> None:
    views = build(view_dropout=0.5).train()
    features = [views.extract(scene((0,)))] * 64
    _, mask = forward(views, *features)
    shown = torch.stack([part.any(1) for part in mask.split(4, dim=1)], 1)  # (64, 3) clips, views
    assert shown.any(1).all()
    assert 0.3 < shown.float().mean() < 0.8
    _, mask = forward(views.eval(), *features)
    assert mask.all()
    with pytest.raises(UserError, match=r"view_dropout must be in \[0, 1\): got 1"):
        build(view_dropout=1)
