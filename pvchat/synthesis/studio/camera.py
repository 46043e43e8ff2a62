"""How the camera moves: what part of a slightly larger picture each frame shows."""

import numpy as np
import numpy.typing as npt
from PIL import Image

from pvchat.synthesis.studio.scenes import CameraMove

Array = npt.NDArray[np.float64]
SLACK = 0.05
"""Share of the frame by which pictures are larger on each side."""
_NEAREST = 1.14
_FAR = 0.6  # of the camera's shift is seen in the place behind the person


def camera_path(move: CameraMove, rng: np.random.Generator, *, num_frames: int, fps: float) -> Array:
    """Shift to the right and down in shares of the frame, and nearness: (num_frames, 3)."""
    t = np.linspace(-1, 1, num_frames)
    path = np.zeros((num_frames, 3))
    path[:, 2] = 1
    direction = rng.choice([-1, 1])
    if move == "pan":
        path[:, 0] = 0.9 * SLACK * direction * t
    elif move == "zoom":
        path[:, 2] = 1 + (_NEAREST - 1) * (1 + direction * t) / 2
    elif move == "hand":
        seconds = np.arange(num_frames) / fps
        for axis in (0, 1):
            hz, phase = rng.uniform(0.4, 1.7, 3), rng.uniform(0, 2 * np.pi, 3)
            waves = np.sin(2 * np.pi * hz * seconds[:, None] + phase) / (1 + hz)
            path[:, axis] = 0.22 * SLACK * waves.sum(1)
    return path


def seen(picture: Image.Image, place: Array, *, size_px: int, far: bool = False) -> Image.Image:
    """The frame that the camera at ``place`` (3,) sees of a ``picture`` that is larger by ``SLACK``."""
    x, y, near = place
    share = _FAR if far else 1.0
    middle = picture.width / 2 + share * size_px * np.array([x, y])
    half = size_px / 2 / (1 + share * (near - 1))
    corners = (*(middle - half), *(middle + half))
    left, top, right, bottom = (float(c) for c in corners)
    if near == 1 and left.is_integer() and top.is_integer():
        return picture.crop((round(left), round(top), round(right), round(bottom)))
    return picture.resize((size_px, size_px), Image.Resampling.BICUBIC, box=(left, top, right, bottom))
