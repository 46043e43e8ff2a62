"""One real face, its landmarks, and the animator that all tests share (its networks load once)."""

import numpy as np
import numpy.typing as npt
import pytest

from pvchat.faces import Face
from pvchat.synthesis.animation.animator import WarpAnimator


@pytest.fixture(scope="session")
def animator() -> WarpAnimator:
    return WarpAnimator()


@pytest.fixture(scope="session")
def mesh(animator: WarpAnimator, photo: npt.NDArray[np.uint8], face: Face) -> npt.NDArray[np.float64]:
    """Landmarks (468, 3) of the astronaut."""
    return np.asarray(animator.mesh.locate(photo[None], face)[0][0])
