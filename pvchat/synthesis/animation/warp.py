"""Where every pixel of a photo goes when the head in it moves: control points, a spline, resampling."""

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from scipy.spatial import Delaunay
from torch import Tensor

from pvchat.synthesis.animation.expressions import FOLDS, INNER_LOWER, INNER_UPPER, LIDS, ExpressiveFace
from pvchat.synthesis.animation.face_mesh import CHIN, FOREHEAD, rotation
from pvchat.synthesis.animation.motion_library import Curves
from pvchat.synthesis.animation.thin_plate import Box, Spline, displacement, fit

Array = npt.NDArray[np.float64]
_REACH = 1.9  # half the side of the region that moves, in heights of the face
_FADE = 0.2  # share of it over which movement fades out
_SKULL = (1.35, 1.75)  # rings of hair around the face, in half sizes of the head
_SMOOTHING, _FOLDED = 1e-3, 1.0
_APART = 0.075  # landmarks nearer to each other than that (eye distances) add cost, not shape
_KEPT = {
    *INNER_UPPER,
    *INNER_LOWER,
    *FOLDS[0],
    *FOLDS[1],
    *(p for pairs, corners in LIDS for pair in (*pairs, corners) for p in pair),
}


class HeadWarp:
    """The moving part of a photo of ``size`` (H, W) that shows ``face``."""

    def __init__(self, face: ExpressiveFace, size: tuple[int, int]) -> None:
        self.face, self.size = face, size
        self.centre = face.rest[:, :2].mean(0)
        self.height = float(np.linalg.norm(face.rest[CHIN] - face.rest[FOREHEAD]))
        self.region = self._box(self.centre - _REACH * self.height, self.centre + _REACH * self.height)
        self.guides = self._guides()
        self.skull, self.pinned = self._skull(), self._pinned()
        self.rows = torch.from_numpy(np.arange(self.region.top, self.region.bottom, dtype=np.float32))
        self.columns = torch.from_numpy(np.arange(self.region.left, self.region.right, dtype=np.float32))

    def splines(self, curves: Curves) -> tuple[Spline, Array]:
        """For each frame the spline that says where its content comes from, in units of the face about its
        centre; and the landmarks (T, 468, 2) in pixels."""
        face, count = self.face, len(curves)
        at_rest = np.concatenate(
            [
                face.rest[self.guides, :2],
                face.to_pixels(self.skull)[:, :2],
                self._teeth(face.local),
                self.pinned,
            ]
        )
        local = face.expressed(curves)
        landmarks = face.turned(local, curves)[..., :2]
        teeth = self._teeth(local, face.local)
        moved = np.concatenate(
            [
                landmarks[:, self.guides],
                self._turned_skull(curves),
                face.turned(teeth, curves)[..., :2],
                np.repeat(self.pinned[None], count, 0),
            ],
            1,
        )
        smoothing = np.full(moved.shape[:2], _SMOOTHING)
        smoothing[:, : len(self.guides)] += _FOLDED * self._folded(curves)
        points, values = ((p - self.centre) / face.unit_px for p in (moved, at_rest + 0 * moved))
        return fit(*(torch.from_numpy(a) for a in (points, values - points, smoothing))), landmarks

    def field(self, spline: Spline, landmarks: Array) -> Tensor:
        """Displacements (T, 2, h, w) in pixels: a pixel of the region shows what was so far from it."""
        low, high = landmarks.min((0, 1)), landmarks.max((0, 1))
        margin = 0.06 * self.height
        face = self._box(
            np.maximum(low - margin, self._corner),
            np.minimum(high + margin, self._corner + self.region.size[::-1]),
        )
        origin = torch.from_numpy(self.centre).float()
        field = displacement(spline, self.region, face, origin=origin, unit_px=self.face.unit_px)
        return field * self.fade()

    def fade(self) -> Tensor:
        """1 where the region moves freely, 0 at those of its sides that lie inside the photo (h, w)."""
        reach = _REACH * self.height
        x = (self.columns - float(self.centre[0])).abs() / reach
        y = (self.rows - float(self.centre[1])).abs() / reach
        falling = ((1 - torch.maximum(y[:, None], x[None])) / _FADE).clamp(0, 1)
        return falling * falling * (3 - 2 * falling)

    def resample(self, layers: Tensor, field: Tensor) -> Tensor:
        """``layers`` (C, H, W) of the photo moved by ``field``: (T, C, h, w) of the region."""
        height, width = self.size
        x = (2 * (self.columns + field[:, 0]) + 1) / width - 1
        y = (2 * (self.rows[:, None] + field[:, 1]) + 1) / height - 1
        grid = torch.stack([x, y], -1)
        moved = F.grid_sample(
            layers.expand(len(grid), -1, -1, -1),
            grid,
            mode="bicubic",
            padding_mode="reflection",
            align_corners=False,
        )
        return moved.clamp(0, 1)

    @property
    def _corner(self) -> Array:
        return np.array([self.region.left, self.region.top], float)

    def _box(self, low: Array, high: Array) -> Box:
        height, width = self.size
        left, top = (max(0, int(np.floor(v))) for v in low)
        right, bottom = (min(n, int(np.ceil(v)) + 1) for v, n in zip(high, (width, height), strict=True))
        return Box(min(left, width - 8), min(top, height - 8), max(right, left + 8), max(bottom, top + 8))

    def _guides(self) -> list[int]:
        """Landmarks that take the photo along: those of lids and lips, others where they are not dense."""
        places, guides = self.face.local[:, :2], sorted(_KEPT)
        for i in sorted(set(range(len(places))) - _KEPT):
            if np.linalg.norm(places[guides] - places[i], axis=1).min() > _APART:
                guides.append(i)
        return guides

    def _skull(self) -> Array:
        """Hair around the upper part of the head, in local positions (N, 3)."""
        local = self.face.local
        middle = (local.min(0) + local.max(0)) / 2
        half = 0.62 * np.ptp(local[:, 0]), 0.56 * np.ptp(local[:, 1])
        angles = np.linspace(0, 2 * np.pi, 32, endpoint=False)
        rings = [
            [middle[0] + k * half[0] * np.cos(a), middle[1] + k * half[1] * np.sin(a), self.face.depth]
            for k in _SKULL
            for a in angles
            if np.sin(a) < 0.35
        ]
        return np.array(rings)

    def _turned_skull(self, curves: Curves) -> Array:
        """The outline of a round head keeps its shape: it follows the middle of the head and leans."""
        middle = self.skull.mean(0)
        zero = np.zeros(len(curves))
        lean = rotation(zero, zero, curves["roll"])
        offsets = (self.skull - middle) @ lean.transpose(0, 2, 1) @ self.face.axes.T * self.face.unit_px
        return np.asarray(self.face.turned(middle[None, None], curves) + offsets)[..., :2]

    def _pinned(self) -> Array:
        """Shoulders and all that is far off, in pixels (N, 2)."""
        face, chin = self.face, self.face.local[CHIN]
        long = self.height / face.unit_px
        body = [
            [chin[0] + u * (0.7 + v) * long, chin[1] + v * long, face.depth]
            for u in np.linspace(-1, 1, 11)
            for v in (0.45, 0.65, 0.9, 1.3)
        ]
        angles = np.linspace(0, 2 * np.pi, 32, endpoint=False)
        far = self.centre + 0.95 * _REACH * self.height * np.stack([np.cos(angles), np.sin(angles)], 1)
        return np.concatenate([face.to_pixels(np.array(body))[:, :2], far])

    def _teeth(self, local: Array, rest: Array | None = None) -> Array:
        """What shows between open lips hangs on the upper one: pixels (N, 2) at rest, or local (T, N, 3)."""
        still = local if rest is None else rest
        gap = still[list(INNER_LOWER[2:-2])] - still[list(INNER_UPPER[2:-2])]
        kept = gap[:, 1] > 0.05
        offsets = 0.75 * gap[kept]
        upper = np.array(INNER_UPPER[2:-2])[kept]
        if rest is None:
            return np.asarray(self.face.to_pixels(local[upper] + offsets)[:, :2])
        lower = np.array(INNER_LOWER[2:-2])[kept]
        room = local[:, lower, 1] - local[:, upper, 1]  # pressed lips press what is between them
        share = np.minimum(1, 0.75 * room / np.maximum(offsets[:, 1], 1e-6))[..., None]
        return np.asarray(local[:, upper] + offsets * share)

    def _folded(self, curves: Curves) -> Array:
        """How little each guide (T, N) says: 1 where its surroundings are edge-on, at rest or turned."""
        local = self.face.local[self.guides]
        triangles = Delaunay(local[:, :2]).simplices
        frontal = _areas(local[triangles, :2] * self.face.unit_px)
        rest = _areas(self.face.rest[self.guides, :2][triangles])
        turned = _areas(self.face.turned(local[None], curves)[:, triangles, :2])  # (T, M)
        doubt = np.maximum(
            np.clip((0.2 - turned / rest) / 0.2, 0, 1), np.clip(1 - rest / frontal / 0.35, 0, 1)
        )
        hidden = np.zeros((len(curves), len(local)))
        for frame, doubts in zip(hidden, doubt, strict=True):
            np.maximum.at(frame, triangles, doubts[:, None])
        return hidden


def _areas(triangles: Array) -> Array:
    """Signed areas (...,) of triangles (..., 3, 2)."""
    a, b = triangles[..., 1, :] - triangles[..., 0, :], triangles[..., 2, :] - triangles[..., 0, :]
    area = a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    return np.asarray(np.where(np.abs(area) < 1e-9, 1e-9, area) / 2)
