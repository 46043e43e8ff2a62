"""Portraits for the tests of the corpus builder: one real face with known landmarks, no detector needed."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from skimage.data import astronaut

from pvchat.faces import Face
from pvchat.synthesis.portraits import Portrait, cut_portrait

Frame = npt.NDArray[np.uint8]


@pytest.fixture(scope="session")
def photo() -> Frame:
    return np.asarray(astronaut())


@pytest.fixture(scope="session")
def face() -> Face:
    """Where the face of the astronaut is."""
    landmarks = [[204, 104], [239, 104], [222, 124], [208, 141], [239, 141]]
    return Face(np.array([181, 68, 266, 172], np.float32), np.array(landmarks, np.float32), probability=1.0)


@pytest.fixture(scope="session")
def portrait(photo: Frame, face: Face) -> Portrait:
    return cut_portrait([photo], [face], person="ann", source_id="photo")


@pytest.fixture(scope="session")
def moving(photo: Frame, face: Face) -> Portrait:
    """Three frames in which the head gets darker."""
    frames = [np.asarray(photo * light, np.uint8) for light in (1.0, 0.8, 0.6)]
    return cut_portrait(frames, [face] * 3, person="ben", source_id="clip")


@pytest.fixture(scope="session")
def tight(portrait: Portrait, photo: Frame, face: Face) -> Portrait:
    """Cut from a grey photo that ends at the brows and the chin."""
    grey = np.repeat(photo[..., :1], 3, axis=-1)[84:165, 188:256]
    inside = replace(face, landmarks=face.landmarks - np.array([188, 84], np.float32))
    return cut_portrait([grey], [inside], person="tv", source_id="crop")
