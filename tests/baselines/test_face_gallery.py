"""Distances to the reference: nearest face, nearest picture, none of a clip to its own source."""

from dataclasses import replace

import pytest
import torch
from tiny import make_batch, make_chat

from pvchat.baselines.face_gallery import NOBODY, FaceGallery
from pvchat.batch import Batch, TrainingClip

A, B, C = torch.eye(128)[:3]


def clip(name: str, *faces: torch.Tensor, source: str = "") -> TrainingClip:
    """A frame for each face, and one in which nobody is seen."""
    view = torch.stack([*faces, torch.zeros(128)]).unsqueeze(1)
    mask = torch.tensor([True] * len(faces) + [False])
    return TrainingClip(name, {"identity": view, "identity.mask": mask}, [], {"tom": True}, False, source)


def asked(clip_id: str, *frames: torch.Tensor, shown: bool = True, source: str = "") -> Batch:
    """A clip whose frames show up to two faces (F, 128) each."""
    batch = make_batch(make_chat(), "Is <tom> here?")
    view = torch.stack(frames).unsqueeze(0)
    mask = torch.full(view.shape[:2], shown)
    examples = [replace(batch.examples[0], clip_id=clip_id, source_id=source)]
    return Batch(examples, {"identity": view}, {"identity": mask}, batch.person_mask)


def test_the_nearest_of_all_faces_and_frames_counts() -> None:
    gallery = FaceGallery([clip("a", A), clip("b", B)])
    nobody = torch.zeros(128)
    near = asked("x", torch.stack([C, nobody]), torch.stack([C, B * 0.9]))
    assert gallery.distances(near) == [{"tom": pytest.approx(0.1)}]
    far = asked("x", torch.stack([C, nobody]), torch.stack([nobody, nobody]))
    assert gallery.distances(far) == [{"tom": pytest.approx(2**0.5)}]
    assert gallery.distances(asked("x", torch.stack([A, A]), shown=False)) == [{"tom": NOBODY}]


def test_a_clip_is_not_compared_with_itself() -> None:
    """Else a threshold that is calibrated on training clips would call every new picture a stranger's."""
    both, alone = FaceGallery([clip("a", A), clip("b", B)]), FaceGallery([clip("a", A)])
    batch = asked("a", A.unsqueeze(0))
    assert both.distances(batch) == [{"tom": pytest.approx(2**0.5)}]
    assert alone.distances(batch) == [{"tom": 0}]  # there is no other


def test_a_variant_of_a_photo_is_compared_with_other_photos() -> None:
    """A variant is nearly the photo: a threshold on variants would refuse other occasions."""
    variants = [clip("a1", A, source="a"), clip("a2", A * 0.9, source="a")]
    gallery = FaceGallery([*variants, clip("b", B, source="b")])
    new, variant = asked("x", A.unsqueeze(0)), asked("y", A.unsqueeze(0), source="a")
    assert gallery.distances(new) == [{"tom": 0}]
    assert gallery.distances(variant) == [{"tom": pytest.approx(2**0.5)}]
    photo = FaceGallery(variants).distances(asked("a1", A.unsqueeze(0), source="a"))
    assert photo == [{"tom": pytest.approx(0.1)}]  # there is no other photo, but another variant
