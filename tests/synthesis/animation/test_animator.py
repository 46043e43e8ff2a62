from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt
import pytest
from adapter_contract import check_portrait_animator
from PIL import Image

from pvchat.errors import UserError
from pvchat.faces import Face
from pvchat.synthesis.animation.animator import AnimatedPortrait, WarpAnimator
from pvchat.synthesis.animation.face_mesh import turned
from pvchat.synthesis.animation.motion_library import POSE, Channel

Frame = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def shake(animator: WarpAnimator, photo: Frame) -> AnimatedPortrait:
    return animator.animate(photo, "shake", seed=1, num_frames=12, fps=6)


def test_contract_of_the_role(animator: WarpAnimator, photo: Frame) -> None:
    check_portrait_animator(animator, photo, ("nod", "smile"))


@pytest.mark.parametrize(("motion", "channel"), [("nod", "pitch"), ("shake", "yaw"), ("tilt", "roll")])
def test_motion_in_the_frames_is_the_commanded_one(
    animator: WarpAnimator, photo: Frame, face: Face, motion: str, channel: Channel
) -> None:
    made = animator.animate(photo, motion, seed=2, num_frames=16, fps=8)
    rest = animator.mesh.locate(photo[None], face)[0][0]
    found = turned(animator.mesh.locate(made.frames, face)[0], rest)[:, POSE.index(channel)]
    commanded = made.curves[channel]
    assert np.corrcoef(found, commanded)[0, 1] > 0.95
    assert 0.5 < np.polyfit(commanded, found, 1)[0] < 1.2


def test_smile_and_speech_are_in_the_frames(animator: WarpAnimator, photo: Frame, face: Face) -> None:
    def mesh(motion: str) -> npt.NDArray[np.float64]:
        made = animator.animate(photo, motion, seed=1, num_frames=9, fps=5)
        return np.asarray(animator.mesh.locate(made.frames, face)[0])

    smile, talk = mesh("smile"), mesh("talk")
    width = np.linalg.norm(smile[:, 291] - smile[:, 61], axis=1)
    assert width[-1] > 1.05 * width[0]
    opening = np.linalg.norm(talk[:, 14] - talk[:, 13], axis=1)
    assert opening.max() > opening.min() + 2.5


def test_the_person_stays_who_they_are(animator: WarpAnimator, shake: AnimatedPortrait, photo: Frame) -> None:
    faces = animator.faces
    hopper = np.asarray(Image.open(Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"))
    own, other = (faces.embed(p, faces.detect(p[None])[0][0]) for p in (photo, hopper))
    for frame in shake.frames[::3]:
        shown = faces.embed(frame, faces.detect(frame[None])[0][0])
        assert np.linalg.norm(shown - own) < 0.5 < np.linalg.norm(shown - other)


def test_the_place_stays_and_can_be_replaced(shake: AnimatedPortrait, photo: Frame) -> None:
    far = np.s_[:, :, 440:]
    np.testing.assert_array_equal(shake.frames[far], np.broadcast_to(photo, shake.frames.shape)[far])
    beach = np.zeros((40, 60, 3), np.uint8)
    beach[..., 2] = 200
    moved = shake.on(beach)
    assert (moved.frames[:, 20:150, 340:370] == [0, 0, 200]).all()  # no wall
    covered = shake.alpha == 255
    np.testing.assert_array_equal(moved.frames[covered], shake.foreground[covered])
    assert covered[:, 90:150, 210:240].all()
    assert len(moved.inputs) == 2
    assert moved.curves is shake.curves


@pytest.mark.parametrize("crop", [(130, 20, 330, 260), (170, 55, 280, 190), (0, 0, 511, 333)])
def test_crops_of_any_shape(animator: WarpAnimator, photo: Frame, crop: tuple[int, int, int, int]) -> None:
    grey = np.asarray(Image.fromarray(photo).crop(crop).convert("L").convert("RGB"))
    made = animator.animate(grey, "nod", seed=0, num_frames=4, fps=4)
    assert made.frames.shape == (4, *grey.shape)
    spread = made.frames.max(-1).astype(int) - made.frames.min(-1)
    assert spread.max() <= 2  # grey stays grey
    assert (made.frames[2].astype(int) != grey).any()


def test_faces_that_cannot_be_moved(animator: WarpAnimator, photo: Frame) -> None:
    small = np.asarray(Image.fromarray(photo).resize((150, 150), Image.Resampling.LANCZOS))
    with pytest.raises(UserError, match=r"at least 40 px high: this one has \d\d\. Give a larger photo"):
        animator.animate(small, "nod", seed=0, num_frames=2, fps=5)
    twins = np.hstack([photo[:333, 100:400], photo[:333, 100:400]])
    with pytest.raises(UserError, match="the photo shows 2 faces"):
        animator.animate(twins, "nod", seed=0, num_frames=2, fps=5)
    with pytest.raises(UserError, match=r"a photo must be \(H, W, 3\) uint8: got \(512, 512\)"):
        animator.animate(photo[..., 0], "nod", seed=0, num_frames=2, fps=5)


def test_a_head_turned_already_turns_less_to_that_side(animator: WarpAnimator, media: Path) -> None:
    photo = np.asarray(Image.open(media / "photos" / "yangmi" / "yangmi_1.jpg").convert("RGB"))
    yaw = animator.prepare(photo).face.yaw
    assert yaw < -20
    made = animator.animate(photo, "shake", seed=1, num_frames=12, fps=6)
    asked = animator.library.curves("shake", seed=1, num_frames=12, fps=6)
    assert made.curves["yaw"].min() == pytest.approx(-4)
    assert made.curves["yaw"].max() <= asked["yaw"].max()
    assert np.corrcoef(made.curves["yaw"], asked["yaw"])[0, 1] > 0.9
