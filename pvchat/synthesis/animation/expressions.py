"""How commanded weights move the landmarks of a face: smile, anger, brows, jaw, blink; and turns of the head.

Everything is in the axes of the head (right, down, backwards), lengths in distances between the outer eye
corners, so that it fits every size, tilt and age."""

import numpy as np
import numpy.typing as npt

from pvchat.synthesis.animation.face_mesh import CHIN, EYE_CORNERS, NUM_LANDMARKS, head_axes, rotation
from pvchat.synthesis.animation.motion_library import Channel, Curves

Array = npt.NDArray[np.float64]

MOUTH_CORNERS = (61, 291)
UPPER_LIP: tuple[int, ...] = (185, 40, 39, 37, 0, 267, 269, 270, 409, 191, 80, 81, 82, 13, 312, 311, 310, 415)
UPPER_LIP += (184, 74, 73, 72, 11, 302, 303, 304, 408, 183, 42, 41, 38, 12, 268, 271, 272, 407)
LOWER_LIP: tuple[int, ...] = (
    146,
    91,
    181,
    84,
    17,
    314,
    405,
    321,
    375,
    95,
    88,
    178,
    87,
    14,
    317,
    402,
    318,
    324,
)
LOWER_LIP += (77, 90, 180, 85, 16, 315, 404, 320, 307, 96, 89, 179, 86, 15, 316, 403, 319, 325)
INNER_UPPER = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)  # left to right in the picture
INNER_LOWER = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
LIDS = (
    (((246, 7), (161, 163), (160, 144), (159, 145), (158, 153), (157, 154), (173, 155)), (33, 133)),
    (((466, 249), (388, 390), (387, 373), (386, 374), (385, 380), (384, 381), (398, 382)), (263, 362)),
)
"""(upper, lower) points of each eye and its corners."""
FOLDS = ((247, 30, 29, 27, 28, 56, 190), (467, 260, 259, 257, 258, 286, 414))  # above the upper lids
_BROWS = ((70, 63, 105, 66, 107, 46, 53, 52, 65, 55), (300, 293, 334, 296, 336, 276, 283, 282, 295, 285))


class ExpressiveFace:
    """A face at ``rest`` (468, 3) in pixels. ``unit_px`` is the distance of its outer eye corners."""

    def __init__(self, rest: Array) -> None:
        self.rest, self.axes = rest, head_axes(rest)
        self.unit_px = float(np.linalg.norm(rest[EYE_CORNERS[1]] - rest[EYE_CORNERS[0]]))
        self.origin = rest[list(EYE_CORNERS)].mean(0)
        self.local = (rest - self.origin) @ self.axes / self.unit_px
        self.depth = float(np.quantile(self.local[:, 2], 0.95))  # of the ears
        self.neck = np.array([0.0, self.local[CHIN, 1] + 0.1, self.depth + 0.15])

    @property
    def yaw(self) -> float:
        """Degrees by which the head of the photo itself is turned to the right of the picture."""
        x, _, z = -self.axes[:, 2]
        return float(np.degrees(np.arctan2(x, -z)))

    def expressed(self, curves: Curves) -> Array:
        """Local positions (T, 468, 3) with the expressions of ``curves`` and the head at rest."""
        effects: dict[Channel, Array] = {
            "smile": self._smile(),
            "anger": self._anger(),
            "brows": self._raised_brows(),
            "jaw": self._jaw(),
        }
        offsets = sum(
            (curves[name][:, None, None] * effect for name, effect in effects.items()),
            np.zeros((len(curves), NUM_LANDMARKS, 3)),
        )
        moved = self.local + offsets
        lids = curves["blink"] + 0.2 * curves["anger"] + 0.22 * curves["smile"] - 0.1 * curves["brows"]
        return self._closed(moved, np.clip(lids, -0.2, 0.93))

    def turned(self, local: Array, curves: Curves) -> Array:
        """Positions (T, N, 3) in pixels of ``local`` (T or 1, N, 3), turned about the neck."""
        turns = rotation(curves["pitch"], curves["yaw"], curves["roll"])
        return self.to_pixels((local - self.neck) @ turns.transpose(0, 2, 1) + self.neck)

    def to_pixels(self, local: Array) -> Array:
        return np.asarray(local @ self.axes.T * self.unit_px + self.origin)

    def _near(self, x: float, y: float, radius: float) -> Array:
        """1 at a place of the face, falling off around it (468,)."""
        squares = (self.local[:, 0] - x) ** 2 + (self.local[:, 1] - y) ** 2
        return np.asarray(np.exp(-squares / (2 * radius**2)))

    def _mouth(self) -> tuple[Array, float]:
        """The middle between the corners of the mouth, and half its width."""
        left, right = self.local[list(MOUTH_CORNERS)]
        return (left + right) / 2, float(right[0] - left[0]) / 2

    def _smile(self) -> Array:
        """Corners of the mouth out and up, cheeks up."""
        out = np.zeros((NUM_LANDMARKS, 3))
        middle, half = self._mouth()
        for corner, side in zip(MOUTH_CORNERS, (-1, 1), strict=True):
            x, y, _ = self.local[corner]
            out += self._near(x, y, 0.17)[:, None] * [0.11 * side, -0.10, 0.05]
            out += self._near(x + 0.1 * side, y - 0.32, 0.16)[:, None] * [0.01 * side, -0.05, -0.02]
        below = np.clip((self.local[:, 1] - middle[1]) / 0.1, 0, 1) * self._near(0, middle[1] + 0.1, half)
        out[:, 1] += 0.02 * below
        return out

    def _anger(self) -> Array:
        """Brows down and together, lips pressed, corners of the mouth down; a smile of the photo goes."""
        out = np.zeros((NUM_LANDMARKS, 3))
        middle, half = self._mouth()
        for brow, side in zip(_BROWS, (-1, 1), strict=True):
            x, y = self.local[list(brow), :2].mean(0)
            inner = np.clip(1 - np.abs(self.local[:, 0]) / (2 * abs(x)), 0, 1)
            around = self._near(x * 0.8, y, 0.2) * (self.local[:, 1] < 0.5 * y)
            out[:, 1] += around * (0.045 + 0.09 * inner)
            out[:, 0] -= around * inner * 0.055 * side
        lips = self.local[[13, 14], 1].mean()
        lift = lips - self.local[list(MOUTH_CORNERS), 1].mean()  # how far the photo smiles
        wide = max(0.0, 2 * half - 0.56)
        for corner, side in zip(MOUTH_CORNERS, (-1, 1), strict=True):
            x, y, _ = self.local[corner]
            out += self._near(x, y, 0.15)[:, None] * [
                -side * (0.02 + 0.3 * wide),
                0.045 + 0.8 * max(0.0, lift),
                0,
            ]
        gap = self.local[14, 1] - self.local[13, 1]
        seam = self._near(middle[0], lips, 0.7 * half)
        out[list(UPPER_LIP), 1] += 0.3 * gap * seam[list(UPPER_LIP)]
        out[list(LOWER_LIP), 1] -= (0.62 * gap + 0.015) * seam[list(LOWER_LIP)]
        return out

    def _raised_brows(self) -> Array:
        """Brows and forehead up."""
        out = np.zeros((NUM_LANDMARKS, 3))
        for brow in _BROWS:
            x, y = self.local[list(brow), :2].mean(0)
            up = self._near(x, y - 0.06, 0.22) * np.clip(1 - (self.local[:, 1] - y) / (0.9 * abs(y)), 0, 1)
            out[:, 1] -= 0.10 * up
        return out

    def _jaw(self) -> Array:
        """Lower lip and chin down, corners of the mouth in; the upper lip stays."""
        out = np.zeros((NUM_LANDMARKS, 3))
        middle, half = self._mouth()
        x, y = self.local[:, 0] - middle[0], self.local[:, 1] - self.local[14, 1]
        lower = np.clip(y / 0.25, 0, 1) * np.exp(-((x / 0.62) ** 2))
        lip = list(LOWER_LIP)
        lower[lip] = np.clip(1 - (x[lip] / (1.02 * half)) ** 2, 0, 1)
        lower[list(UPPER_LIP)] = 0
        out[:, 1] += 0.24 * lower
        for corner, side in zip(MOUTH_CORNERS, (-1, 1), strict=True):
            x_corner, y_corner, _ = self.local[corner]
            out += self._near(x_corner, y_corner, 0.1)[:, None] * [-0.03 * side, 0.05, 0]
        return out

    def _closed(self, moved: Array, lids: Array) -> Array:
        """``moved`` (T, 468, 3) with eyes closed by ``lids`` (T,): upper lids down to the lower ones."""
        out, share = moved.copy(), lids[:, None]
        for (pairs, _), fold, brow in zip(LIDS, FOLDS, _BROWS, strict=True):
            uppers, lowers = (list(p) for p in zip(*pairs, strict=True))
            gap = moved[:, lowers, 1] - moved[:, uppers, 1]
            out[:, uppers, 1] += 0.9 * share * gap
            out[:, lowers, 1] -= 0.06 * share * gap
            out[:, list(fold), 1] += 0.45 * share * gap
            out[:, list(brow[5:]), 1] += 0.12 * share * gap[:, :5]
        return out
