import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from pvchat.faces import Face
from pvchat.synthesis.animation.face_mesh import (
    CHIN,
    EYE_CORNERS,
    FOREHEAD,
    FaceMesh,
    head_axes,
    rotation,
    turned,
)

Array = npt.NDArray[np.float64]


def test_landmarks_are_on_the_face(mesh: Array, face: Face) -> None:
    left, right = mesh[list(EYE_CORNERS), :2]
    assert left[0] < face.landmarks[0, 0] < face.landmarks[1, 0] < right[0]
    np.testing.assert_allclose(mesh[1, :2], face.landmarks[2], atol=8)  # tip of the nose
    np.testing.assert_allclose(mesh[[61, 291], :2], face.landmarks[3:], atol=8)
    assert mesh[FOREHEAD, 1] < left[1] < mesh[1, 1] < mesh[CHIN, 1]
    assert mesh[1, 2] < mesh[CHIN, 2] < mesh[234, 2]  # nose before chin before ear


@pytest.mark.parametrize("scale", [0.5, 3.0])
def test_size_of_the_photo_does_not_matter(
    photo: npt.NDArray[np.uint8], face: Face, mesh: Array, scale: float
) -> None:
    size = round(512 * scale)
    resized = np.asarray(Image.fromarray(photo).resize((size, size), Image.Resampling.BICUBIC))
    (found,), (sure,) = FaceMesh().locate(resized[None], Face(face.box * scale, face.landmarks * scale, 1.0))
    assert sure > 0.9
    assert np.abs(found / scale - mesh)[:, :2].mean() < 1.0


def test_grey_wall_is_no_face(face: Face) -> None:
    assert FaceMesh().locate(np.full((1, 512, 512, 3), 128, np.uint8), face)[1][0] < 0.1


def test_turns_are_recovered_exactly(mesh: Array) -> None:
    angles = np.array([[10.0, 0, 0], [0, -20, 0], [0, 0, 8], [5, 15, -12]])
    axes = head_axes(mesh)
    meshes = np.stack([mesh @ (axes @ r @ axes.T).T + 7 for r in rotation(*angles.T)])
    np.testing.assert_allclose(turned(meshes, mesh), angles, atol=1e-6)


def test_signs_are_as_documented() -> None:
    nose, crown = np.array([0, 0, -1.0]), np.array([0, -1.0, 0])
    zero, ten = np.zeros(1), np.full(1, 10.0)
    assert (rotation(ten, zero, zero)[0] @ nose)[1] > 0  # looks down
    assert (rotation(zero, ten, zero)[0] @ nose)[0] > 0  # turns to the right of the picture
    assert (rotation(zero, zero, ten)[0] @ crown)[0] > 0  # leans to the right


def test_a_leaning_photo_leans(photo: npt.NDArray[np.uint8], face: Face, mesh: Array) -> None:
    centre = (223, 120)
    tilted = np.asarray(Image.fromarray(photo).rotate(-15, Image.Resampling.BICUBIC, center=centre))
    ((pitch, yaw, roll),) = turned(FaceMesh().locate(tilted[None], face)[0], mesh)
    assert roll == pytest.approx(15, abs=2)
    assert abs(pitch) < 4
    assert abs(yaw) < 4
