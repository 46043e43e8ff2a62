"""LivePortrait's adapter and its script, in a real process over a stand-in for the public checkout."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from adapter_contract import check_portrait_animator
from generator_checkouts import LIVEPORTRAIT, make_checkout

from pvchat.errors import UserError
from pvchat.faces import FaceAnalyzer
from pvchat.synthesis.animation.face_mesh import FaceMesh
from pvchat.synthesis.animation.motion_library import CHANNELS
from pvchat.synthesis.generators.children.liveportrait_child import EXPRESSIONS, expression
from pvchat.synthesis.generators.liveportrait import LivePortraitAnimator, crop_to_photo
from pvchat.synthesis.licences import check_commercial
from pvchat.synthesis.roles import Frames


@pytest.fixture(scope="module")
def animator(tmp_path_factory: pytest.TempPathFactory, faces: FaceAnalyzer) -> Iterator[LivePortraitAnimator]:
    folder = make_checkout(tmp_path_factory.mktemp("LivePortrait"), LIVEPORTRAIT)
    animator = LivePortraitAnimator(
        python=sys.executable, folder=str(folder), device="cpu", half=False, faces=faces
    )
    yield animator
    animator.worker.close()


@pytest.mark.slow
def test_contract_of_the_role(animator: LivePortraitAnimator, photo: Frames) -> None:
    check_portrait_animator(animator, photo, ("nod", "smile"))
    check_commercial([animator.adapter])


@pytest.mark.slow
def test_the_place_around_the_head_stays(animator: LivePortraitAnimator, photo: Frames) -> None:
    made = animator.animate(photo, "shake", seed=0, num_frames=4, fps=4)
    far = np.s_[:, 400:, :]
    np.testing.assert_array_equal(made.frames[far], np.broadcast_to(photo, made.frames.shape)[far])


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_the_crop_is_an_upright_face(photo: Frames, faces: FaceAnalyzer, turns: int) -> None:
    """Of a turned photo, too: eyes level and over the mouth, brows to chin fill 1 / 2.3 of the crop."""
    face = faces.detect(photo[None])[0][0]
    (mesh,), _ = FaceMesh().locate(photo[None], face)
    points, side = mesh[:, :2], photo.shape[0] - 1
    for _ in range(turns):
        points = np.c_[points[:, 1], side - points[:, 0]]
    to_crop = np.linalg.inv(crop_to_photo(points))
    scale = np.hypot(*to_crop[0, :2])
    np.testing.assert_allclose(to_crop[:2, :2].T @ to_crop[:2, :2], np.eye(2) * scale**2, atol=1e-9)
    seen = points @ to_crop[:2, :2].T + to_crop[:2, 2]
    left, right, mouth, brow, chin = (
        seen[list(i)].mean(0) for i in ((33, 133), (362, 263), (61, 291), (105, 334), (152,))
    )
    assert 0 < right[0] - left[0] < 512 / 2.3
    assert abs(right[1] - left[1]) < 15
    assert abs((left + right)[0] / 2 - mouth[0]) < 1
    assert 0.8 < (chin - brow)[1] / (512 / 2.3) < 1.05
    assert abs((chin + brow)[1] / 2 - (256 + 0.125 * 512)) < 15


def test_expressions_are_commanded_one_by_one() -> None:
    curves = {name: np.array([0.0, 1.0]) if name == "smile" else np.zeros(2) for name in CHANNELS}
    assert not expression(curves, 0).any()
    smile = expression(curves, 1)[0]
    assert set(np.flatnonzero(smile.any(1))) == {keypoint for keypoint, _, _ in EXPRESSIONS["smile"]}
    assert smile[14, 1] == np.float32(-0.02)
    assert set(EXPRESSIONS) <= set(CHANNELS)


def test_weights_must_be_there(tmp_path: Path, faces: FaceAnalyzer) -> None:
    bare = LivePortraitAnimator(python=sys.executable, folder=str(tmp_path), faces=faces)
    with pytest.raises(UserError, match=r"weights must be a folder: .*liveportrait is not"):
        _ = bare.adapter


@pytest.mark.slow
def test_an_environment_without_it_is_named(tmp_path: Path, faces: FaceAnalyzer, photo: Frames) -> None:
    bare = LivePortraitAnimator(python=sys.executable, folder=str(tmp_path), device="cpu", faces=faces)
    with pytest.raises(UserError, match=r"LivePortrait must start .*No module named 'src'"):
        bare.animate(photo, "nod", seed=0, num_frames=2, fps=2)
