"""Thin-plate splines for a batch of frames, and the displacement of every pixel from them, fast.

A spline is evaluated on a coarse grid around the head and a fine one on the face; pixels between are
interpolated (bicubic)."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

_STEP_PX, _FACE_STEP_PX = 10.0, 1.7  # of the grids,
_POINTS, _FACE_POINTS = (24, 64), (40, 160)  # which have at least and at most so many points along a side
_TINY = 1e-12
_PIECE = 256  # places that are evaluated at a time: what fits into a cache takes half as long


@dataclass(frozen=True)
class Box:
    """Pixels ``left`` to ``right``, ``top`` to ``bottom``, the ends excluded."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.bottom - self.top, self.right - self.left


@dataclass(frozen=True)
class Spline:
    """Smooth functions (B,) of the plane with two values each; ``points`` (B, N, 2), ``weights``
    (B, N + 3, 2)."""

    points: Tensor
    weights: Tensor

    def at(self, places: Tensor) -> Tensor:
        """Values (B, M, 2) at ``places`` (B, M, 2), in the precision of ``places``."""
        points, weights = self.points.to(places.dtype), self.weights.to(places.dtype)
        values = weights[:, -3:-2] + places @ weights[:, -2:]
        for value, place, point, bent in zip(values, places, points, weights[:, :-3], strict=True):
            for some, where in zip(value.split(_PIECE), place.split(_PIECE), strict=True):
                some += _kernel(where, point) @ bent
        return values


def fit(points: Tensor, values: Tensor, smoothing: Tensor) -> Spline:
    """Splines through ``values`` (B, N, 2) at ``points`` (B, N, 2), float64; where ``smoothing`` (B, N) is
    larger they keep less to the value."""
    count, n, _ = points.shape
    system = points.new_zeros(count, n + 3, n + 3)
    system[:, :n, :n] = _kernel(points, points) + torch.diag_embed(smoothing)
    system[:, :n, n] = system[:, n, :n] = 1
    system[:, :n, n + 1 :] = points
    system[:, n + 1 :, :n] = points.mT
    return Spline(points, torch.linalg.solve(system, F.pad(values, [0, 0, 0, 3])))


def displacement(spline: Spline, region: Box, face: Box, *, origin: Tensor, unit_px: float) -> Tensor:
    """Values (B, 2, height, width) of ``spline`` at the pixels of ``region``, ``face`` being the part that
    needs detail. A place is (pixel - ``origin``) / ``unit_px``; values are in pixels."""
    field = _interpolated(spline, region, _step(region, _STEP_PX, _POINTS), origin, unit_px)
    rows = slice(face.top - region.top, face.bottom - region.top)
    columns = slice(face.left - region.left, face.right - region.left)
    step = _step(face, _FACE_STEP_PX, _FACE_POINTS)
    field[:, :, rows, columns] = _interpolated(spline, face, step, origin, unit_px)
    return field


def exact_displacement(spline: Spline, region: Box, *, origin: Tensor, unit_px: float) -> Tensor:
    """The same, evaluated at every pixel in float64: slow, for comparison."""
    y, x = torch.meshgrid(
        torch.arange(region.top, region.bottom), torch.arange(region.left, region.right), indexing="ij"
    )
    places = ((torch.stack([x, y], -1).flatten(0, 1) - origin) / unit_px).double()
    values = spline.at(places.expand(len(spline.points), -1, -1))
    return values.mT.reshape(-1, 2, *region.size) * unit_px


def _step(box: Box, step_px: float, limits: tuple[int, int]) -> int:
    longest = max(box.size)
    return max(1, round(longest / min(max(longest / step_px, limits[0]), limits[1])))


def _interpolated(spline: Spline, box: Box, step: int, origin: Tensor, unit_px: float) -> Tensor:
    """From a grid of ``step`` pixels that goes one step beyond the box, where bicubic weights need it."""
    height, width = box.size
    rows, columns = (-(-n // step) + 3 for n in (height, width))
    x = (box.left + step * (torch.arange(columns) - 1.0) - origin[0]) / unit_px
    y = (box.top + step * (torch.arange(rows) - 1.0) - origin[1]) / unit_px
    grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).flatten(0, 1).float()
    values = spline.at(grid.expand(len(spline.points), -1, -1)).mT.reshape(-1, 2, rows, columns)
    return _cubic(height, step) @ (values * unit_px) @ _cubic(width, step).T


def _cubic(length: int, step: int) -> Tensor:
    """Weights (length, points) of Keys' cubic convolution with a = -1/2, which keeps what is linear as it is
    (torch's own, with -3/4, does not)."""
    cell = torch.arange(length) // step
    t = (torch.arange(length) % step / step)[:, None]
    distance = torch.cat([1 + t, t, 1 - t, 2 - t], 1)
    near = (1.5 * distance - 2.5) * distance**2 + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    weights = torch.zeros(length, -(-length // step) + 3)
    return weights.scatter_(1, cell[:, None] + torch.arange(4), torch.where(distance <= 1, near, far))


def _kernel(a: Tensor, b: Tensor) -> Tensor:
    """r^2 log r between places (.., M, 2) and (.., N, 2): (.., M, N)."""
    ones = torch.ones_like
    left = torch.cat([-2 * a, (a**2).sum(-1, keepdim=True), ones(a[..., :1])], -1)
    right = torch.cat([b, ones(b[..., :1]), (b**2).sum(-1, keepdim=True)], -1)
    squares = (left @ right.mT).clamp_(min=_TINY)
    return squares.log().mul_(squares).mul_(0.5)
