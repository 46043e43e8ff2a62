"""Measures of a face against what was commanded, and a reason for each fault."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import skimage.data
from PIL import Image, ImageDraw, ImageFilter

from pvchat.faces import Face
from pvchat.synthesis.animation.animator import WarpAnimator
from pvchat.synthesis.animation.face_mesh import EYE_CORNERS, head_axes, rotation
from pvchat.synthesis.animation.motion_library import CHANNELS, Channel, Curves
from pvchat.synthesis.face_quality import (
    MOST_FLAT,
    FaceQuality,
    eye_aspects,
    flatness,
    head_pose,
    measure,
    sharpness,
)

Frame = npt.NDArray[np.uint8]
GOOD = FaceQuality(
    eyes=0.3,
    mouth=0.0,
    pitch=0.0,
    yaw=0.0,
    roll=0.0,
    sharpness=1.0,
    visible=1.0,
    sure=1.0,
    size_px=256.0,
    covered=False,
)


@pytest.fixture(scope="module")
def animator() -> WarpAnimator:
    return WarpAnimator()


def measured(animator: WarpAnimator, photo: Frame, face: Face) -> FaceQuality:
    return measure(photo, face, mesh=animator.mesh, faces=animator.faces)


def commanded(
    animator: WarpAnimator, photo: Frame, face: Face, channel: Channel, values: Sequence[float]
) -> tuple[list[FaceQuality], list[float]]:
    """What is measured, and what was commanded within what the photo allows."""
    curves = np.zeros((len(values), len(CHANNELS)))
    curves[:, CHANNELS.index(channel)] = values
    made = animator.follow(photo, Curves(curves, 8.0))
    return [measured(animator, frame, face) for frame in made.frames], made.curves[channel].tolist()


@pytest.mark.parametrize("channel", ["yaw", "pitch", "roll"])
def test_pose_is_the_commanded_one(
    animator: WarpAnimator, photo: Frame, face: Face, channel: Channel
) -> None:
    """Of a warped photo the mesh sees about three fifths of a yaw; pitch and roll are seen as they are."""
    found, asked = commanded(animator, photo, face, channel, [-20, -10, 0, 10, 20])
    turned = np.array([getattr(q, channel) for q in found])
    assert np.corrcoef(turned, asked)[0, 1] > 0.99
    if channel == "yaw":
        assert 0.5 < np.polyfit(asked, turned, 1)[0] < 1.2
    else:
        np.testing.assert_allclose(turned - turned[2], asked, atol=5)


def test_pose_of_turned_landmarks_is_exact(animator: WarpAnimator, photo: Frame, face: Face) -> None:
    rest = animator.mesh.locate(photo[None], face)[0][0]
    upright = rest @ head_axes(rest)
    level = np.array(head_pose(upright))
    for angles in ([10.0, 0, 0], [0, -48, 0], [0, 0, 20], [5, 15, -12]):
        turn = rotation(*(np.array([a]) for a in angles))[0]
        np.testing.assert_allclose(np.array(head_pose(upright @ turn.T)) - level, angles, atol=1e-6)


def test_closing_eyes_are_seen(animator: WarpAnimator, photo: Frame, face: Face) -> None:
    opened, half, closed = (q.eyes for q in commanded(animator, photo, face, "blink", [0, 0.5, 1])[0])
    assert opened > half > closed  # the animator closes them half
    assert closed < 0.9 * opened


def test_eye_aspect_is_height_over_width() -> None:
    mesh = np.zeros((468, 3))
    for corners, x in (((33, 133), 0.0), ((263, 362), 50.0)):
        mesh[list(corners), 0] = x, x + 10
    mesh[[160, 158], 1] = -1.5
    mesh[[144, 153], 1] = 1.5
    mesh[[387, 385], 1] = -1
    mesh[[373, 380], 1] = 1
    assert eye_aspects(mesh) == pytest.approx((0.3, 0.2))


def test_blur_costs_sharpness_and_darkness_does_not(photo: Frame) -> None:
    crop = photo[68:172, 181:266]
    blurred = [np.asarray(Image.fromarray(crop).filter(ImageFilter.GaussianBlur(s))) for s in (0, 1, 2, 4)]
    found = [sharpness(b) for b in blurred]
    assert found == sorted(found, reverse=True)
    assert found[0] > 0.5 > 0.1 > found[3]
    assert sharpness(crop // 3) == pytest.approx(sharpness(crop), rel=0.3)
    assert sharpness(np.full((112, 112, 3), 90, np.uint8)) == 0


def test_a_real_face_is_good(animator: WarpAnimator, photo: Frame, face: Face) -> None:
    found = measured(animator, photo, face)
    assert (found.faults(), found.unusable, found.covered) == ((), (), False)
    assert found.size_px == 104
    assert 0.5 < found.score < 1


@pytest.mark.parametrize("colour", [(10, 10, 10), (50, 35, 25)])
def test_dark_glasses_are_recognised(
    animator: WarpAnimator, photo: Frame, face: Face, colour: tuple[int, int, int]
) -> None:
    mesh = animator.mesh.locate(photo[None], face)[0][0]
    (x0, y0), (x1, y1) = mesh[list(EYE_CORNERS), :2]
    image = Image.fromarray(photo)
    ImageDraw.Draw(image).rectangle((x0 - 9, min(y0, y1) - 12, x1 + 9, max(y0, y1) + 13), fill=colour)
    assert measured(animator, np.array(image), face).covered


def test_a_face_that_leaves_the_frame(animator: WarpAnimator, photo: Frame, face: Face) -> None:
    half = photo[:, 222:]
    moved = Face(face.box - np.float32([222, 0, 222, 0]), face.landmarks - np.float32([222, 0]), 1.0)
    assert measured(animator, half, moved).visible < 0.8


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"eyes": 0.12}, "eyes closed (aspect 0.12, at least 0.18)"),
        ({"yaw": -48.0}, "turned away (yaw 48 degrees, at most 35)"),
        ({"pitch": 30.0}, "looks up or down (pitch 30 degrees, at most 25)"),
        ({"roll": 40.0}, "leans (roll 40 degrees, at most 35)"),
        ({"sharpness": 0.05}, "blurred (sharpness 0.05, at least 0.10)"),
    ],
)
def test_faults(change: dict[str, float], said: str) -> None:
    assert GOOD.faults() == ()
    worse = replace(GOOD, **change)  # type: ignore[arg-type]
    assert worse.faults() == (said,)
    assert worse.unusable == ()
    assert worse.score < GOOD.score == pytest.approx(1)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"size_px": 31.0}, "too small (31 px high, at least 40)"),
        ({"sure": 0.2}, "not clearly a face (20% sure, at least 50%)"),
        ({"visible": 0.62}, "cut off (62% of the face in the frame, at least 80%)"),
    ],
)
def test_what_cannot_be_used(change: dict[str, float], said: str) -> None:
    assert replace(GOOD, **change).unusable == (said,)  # type: ignore[arg-type]


def test_eyes_are_held_against_how_open_they_usually_are() -> None:
    assert replace(GOOD, eyes=0.24).faults(0.25) == ("eyes closed (aspect 0.24, at least 0.25)",)


def test_an_open_mouth_and_a_turn_cost_a_little() -> None:
    assert GOOD.score > replace(GOOD, mouth=0.2).score > replace(GOOD, mouth=0.2, yaw=20.0).score


def test_a_drawing_is_flat_and_a_face_is_not_even_in_the_dark() -> None:
    drawn = Image.new("RGB", (256, 256), (240, 200, 170))
    pen = ImageDraw.Draw(drawn)
    for x in (80, 176):
        pen.ellipse([x - 24, 90, x + 24, 122], fill="white", outline="black", width=3)
        pen.ellipse([x - 10, 94, x + 10, 118], fill=(60, 40, 20))
    pen.ellipse([90, 180, 166, 205], fill=(200, 80, 80))
    real = Image.fromarray(skimage.data.astronaut()[68:172, 172:276])
    shades = [flatness(np.asarray(picture.resize((64, 64)))) for picture in (drawn, real)]
    shades.append(flatness(np.asarray(real.resize((64, 64))) // 6))
    assert shades[0] > MOST_FLAT + 0.05
    assert max(shades[1:]) < 0.2
    quality = replace(GOOD, flat=shades[0])
    assert quality.unusable[0].startswith("drawn, not filmed (")
