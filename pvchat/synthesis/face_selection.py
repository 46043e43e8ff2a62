"""Which of many good faces are taken, and how much of the frame goes with them."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from pvchat.faces import Face

Frames = npt.NDArray[np.uint8]
CROP_PX = 768
_LEAST_GAP_S = 1.0
_ROOM = 0.25  # of a face's height that stays around it when somebody beside it is cut off


def spread(scores: Sequence[float], files: Sequence[str], times: Sequence[float], count: int) -> list[int]:
    """Up to ``count`` indices, the best of every file before the second best of any, and so for the thirds of
    the time of a file; those of one file are a second apart or more, up to half of an equal share of the
    time between its first and last."""
    reach: dict[str, list[float]] = {}
    for file, time in zip(files, times, strict=True):
        reach.setdefault(file, []).append(time)
    gap = {f: max(_LEAST_GAP_S, (max(t) - min(t)) / (2 * count)) for f, t in reach.items()}
    thirds = [
        (file, _third(time, min(reach[file]), max(reach[file])))
        for file, time in zip(files, times, strict=True)
    ]
    chosen: list[int] = []
    while len(chosen) < count:
        taken = Counter(files[j] for j in chosen)
        parts = Counter(thirds[j] for j in chosen)
        free = [
            i
            for i in range(len(scores))
            if all(files[i] != files[j] or abs(times[i] - times[j]) >= gap[files[i]] for j in chosen)
        ]
        if not free:
            break
        chosen.append(min(free, key=lambda i: (taken[files[i]], parts[thirds[i]], -scores[i])))
    return chosen


def _third(time: float, first: float, last: float) -> int:
    return min(2, int(3 * (time - first) / (last - first))) if last > first else 0


@dataclass(frozen=True)
class Window:
    """Part of a frame, in pixels, and how many faces other than the one it is for it shows."""

    left: int
    top: int
    right: int
    bottom: int
    others: int

    def cut(self, frame: Frames, face: Face) -> tuple[Frames, Face]:
        """This part of ``frame`` (H, W, 3), its longer side at most ``CROP_PX``, and ``face`` in it."""
        image = Image.fromarray(frame[self.top : self.bottom, self.left : self.right])
        scale = min(1.0, CROP_PX / max(image.size))
        if scale < 1:
            size = (round(image.width * scale), round(image.height * scale))
            image = image.resize(size, Image.Resampling.LANCZOS)
        corner = np.array([self.left, self.top], np.float32)
        box = np.asarray((face.box - np.tile(corner, 2)) * scale, np.float32)
        marks = np.asarray((face.landmarks - corner) * scale, np.float32)
        return np.array(image), Face(box, marks, face.probability)


def head_and_shoulders(face: Face, others: Sequence[Face], shape: tuple[int, ...]) -> Window:
    """The part of a frame of ``shape`` (H, W, ..) around ``face``, three faces wide and high, without
    ``others`` where these are not too near."""
    x0, y0, x1, y1 = (float(v) for v in face.box)
    x, height = (x0 + x1) / 2, y1 - y0
    left, top, right, bottom = x - 1.5 * height, y0 - 0.8 * height, x + 1.5 * height, y1 + 1.2 * height
    room = _ROOM * height
    for other in others:
        u0, v0, u1, v1 = (float(v) for v in other.box)
        if u0 >= right or u1 <= left or v0 >= bottom or v1 <= top:
            continue
        if u0 > x1 + room:
            right = u0
        elif u1 < x0 - room:
            left = u1
        elif v0 > y1 + room:
            bottom = v0
        elif v1 < y0 - room:
            top = v1
    limits = (
        max(0, math.ceil(left)),
        max(0, math.ceil(top)),
        min(shape[1], math.floor(right)),
        min(shape[0], math.floor(bottom)),
    )
    seen = sum(
        o.box[0] < limits[2] and o.box[2] > limits[0] and o.box[1] < limits[3] and o.box[3] > limits[1]
        for o in others
    )
    return Window(*limits, int(seen))
