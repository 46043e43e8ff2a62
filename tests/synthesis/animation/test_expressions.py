import numpy as np
import numpy.typing as npt
import pytest

from pvchat.synthesis.animation.expressions import LIDS, LOWER_LIP, MOUTH_CORNERS, UPPER_LIP, ExpressiveFace
from pvchat.synthesis.animation.face_mesh import CHIN, turned
from pvchat.synthesis.animation.motion_library import CHANNELS, Curves

Array = npt.NDArray[np.float64]


def curves(**weights: float) -> Curves:
    return Curves(np.array([[weights.get(c, 0.0) for c in CHANNELS]]), 25)


@pytest.fixture
def expressive(mesh: Array) -> ExpressiveFace:
    return ExpressiveFace(mesh)


def change(face: ExpressiveFace, **weights: float) -> Array:
    """Displacements (468, 3) to the right, down and backwards in distances between the eyes."""
    return np.asarray(face.expressed(curves(**weights))[0] - face.local)


def test_nothing_commanded_changes_nothing(expressive: ExpressiveFace, mesh: Array) -> None:
    assert np.abs(change(expressive)).max() == 0
    np.testing.assert_allclose(expressive.turned(expressive.local[None], curves())[0], mesh, atol=1e-9)


def test_smile_and_anger_pull_the_mouth_apart(expressive: ExpressiveFace) -> None:
    left, right = MOUTH_CORNERS
    smile, anger = change(expressive, smile=1), change(expressive, anger=1)
    assert smile[left, 0] < -0.05 < 0.05 < smile[right, 0]
    assert (smile[[left, right], 1] < -0.05).all()
    assert (anger[[left, right], 1] > 0.02).all()
    assert (anger[[55, 285], 1] > 0.05).all()  # inner brows
    assert anger[55, 0] > 0 > anger[285, 0]


def test_raised_brows_leave_the_mouth(expressive: ExpressiveFace) -> None:
    raised = change(expressive, brows=1)
    assert (raised[[63, 105, 293, 334], 1] < -0.05).all()
    assert np.abs(raised[[*UPPER_LIP, *LOWER_LIP]]).max() < 1e-3


def test_jaw_opens_downwards(expressive: ExpressiveFace) -> None:
    opened = change(expressive, jaw=1)
    assert opened[14, 1] > 0.15
    assert opened[CHIN, 1] > 0.15
    assert np.abs(opened[13]).max() < 0.03
    assert np.abs(opened[:, 1][expressive.local[:, 1] < 0.2]).max() < 0.02  # nose and eyes


@pytest.mark.parametrize("eye", [0, 1])
def test_blink_closes_each_eye(expressive: ExpressiveFace, eye: int) -> None:
    closed = expressive.expressed(curves(blink=1))[0]
    for upper, lower in LIDS[eye][0][1:-1]:
        before = expressive.local[lower, 1] - expressive.local[upper, 1]
        assert 0 < closed[lower, 1] - closed[upper, 1] < 0.15 * before


def test_the_head_turns_as_commanded(expressive: ExpressiveFace, mesh: Array) -> None:
    moved = expressive.turned(expressive.local[None], curves(pitch=8, yaw=-12, roll=5))
    np.testing.assert_allclose(turned(moved, mesh), [[8, -12, 5]], atol=1e-6)


def test_yaw_of_the_photo(mesh: Array) -> None:
    face = ExpressiveFace(mesh)
    turned_right = face.turned(face.local[None], curves(yaw=20))[0]
    assert ExpressiveFace(turned_right).yaw == pytest.approx(face.yaw + 20, abs=2)
