"""A photo taken apart: the person with a soft outline, and what is behind them, filled in."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from pvchat.assets import asset
from pvchat.synthesis.animation.graph_network import GraphNetwork

Frames = npt.NDArray[np.uint8]
_INPUT_PX = 256
_WORK_PX = 512  # the outline is fitted to the picture at this size
_REACH = 3.2  # half the side of the crop around the head, in heights of the face


@dataclass(frozen=True)
class Layers:
    """``foreground`` (3, H, W) are the colours of the person alone, ``alpha`` (1, H, W) says how much of a
    pixel the person covers, ``plate`` (3, H, W) is the place without them. Floats in 0..1."""

    foreground: Tensor
    alpha: Tensor
    plate: Tensor


class PersonMatte:
    """Finds the outline of people; the net is loaded on first use."""

    @cached_property
    def _network(self) -> GraphNetwork:
        return GraphNetwork(asset("face-mesh"), "selfie_segmentation")

    def separate(self, photo: Frames, *, centre: tuple[float, float], face_px: float) -> Layers:
        """Layers of ``photo`` (H, W, 3), whose person has a face at ``centre``, ``face_px`` high."""
        image = torch.from_numpy(np.array(photo)).permute(2, 0, 1).float() / 255
        alpha = self._alpha(image, centre, face_px)
        foreground, behind = _unmix(image, alpha, face_px)
        return Layers(foreground, alpha, _plate(image, behind, alpha, face_px))

    def _alpha(self, image: Tensor, centre: tuple[float, float], face_px: float) -> Tensor:
        """Seen as a whole, and around the head again where that shows more detail."""
        coarse = self._segment(image)
        (x, y), (height, width), reach = centre, image.shape[1:], _REACH * face_px
        left, right = max(0, round(x - reach)), min(width, round(x + reach))
        top, bottom = max(0, round(y - reach)), min(height, round(y + reach))
        if (right - left) * (bottom - top) < 0.6 * width * height:
            fine = self._segment(image[:, top:bottom, left:right])
            weight = torch.zeros(1, height, width)
            edge = max(1, round(0.4 * face_px))
            weight[:, top:bottom, left:right] = _inside(
                fine.shape[1], fine.shape[2], edge, (left > 0, right < width, top > 0, bottom < height)
            )
            padded = torch.zeros_like(coarse)
            padded[:, top:bottom, left:right] = fine
            coarse = coarse * (1 - weight) + padded * weight
        fitted = _guided(image, coarse, radius_px=0.06 * face_px)
        return ((fitted - 0.12) / 0.76).clamp(0, 1)

    def _segment(self, image: Tensor) -> Tensor:
        small = F.interpolate(image[None], (_INPUT_PX, _INPUT_PX), mode="bilinear", antialias=True)
        return _resized(self._network(small)[0][0], image.shape[1:])


def _inside(height: int, width: int, edge: int, open_sides: tuple[bool, bool, bool, bool]) -> Tensor:
    """1 inside, falling to 0 over ``edge`` at the sides (left, right, top, bottom) that are open."""
    left, right, top, bottom = open_sides
    x, y = torch.arange(width) / edge, torch.arange(height) / edge
    across = torch.minimum(x if left else torch.ones(width), x.flip(0) if right else torch.ones(width))
    down = torch.minimum(y if top else torch.ones(height), y.flip(0) if bottom else torch.ones(height))
    return torch.minimum(across[None], down[:, None]).clamp(0, 1)[None]


def _guided(image: Tensor, alpha: Tensor, *, radius_px: float) -> Tensor:
    """``alpha`` (1, H, W) drawn to the edges of ``image`` (3, H, W): the fast guided filter of He and Sun
    (arXiv 1505.00996), locally alpha = a . colour + b."""
    scale = min(1.0, _WORK_PX / max(image.shape[1:]))
    size = [max(8, round(n * scale)) for n in image.shape[1:]]
    guide, target = (F.interpolate(t[None], size, mode="bilinear", antialias=True)[0] for t in (image, alpha))
    radius = max(2, round(radius_px * scale))
    mean, mean_target = _box(guide, radius), _box(target, radius)
    products = (guide[:, None] * guide[None]).flatten(0, 1)
    covariance = (_box(products, radius) - (mean[:, None] * mean[None]).flatten(0, 1)).reshape(3, 3, *size)
    with_target = _box(guide * target, radius) - mean * mean_target
    matrix = covariance.permute(2, 3, 0, 1) + 2e-4 * torch.eye(3)
    slope = torch.linalg.solve(matrix, with_target.permute(1, 2, 0)).permute(2, 0, 1)
    offset = mean_target - (slope * mean).sum(0, keepdim=True)
    slope, offset = (_resized(_box(t, radius), image.shape[1:]) for t in (slope, offset))
    return (slope * image).sum(0, keepdim=True) + offset


def _unmix(image: Tensor, alpha: Tensor, face_px: float) -> tuple[Tensor, Tensor]:
    """Colours of the person and of the place in mixed pixels: blur-fusion of Forte (arXiv 2102.06079), coarse
    and then fine."""
    foreground = behind = image
    for radius in (max(3, round(0.3 * face_px)), max(2, round(0.04 * face_px))):
        share = _box(alpha, radius)
        near = _box(foreground * alpha, radius) / (share + 1e-5)
        behind = _box(behind * (1 - alpha), radius) / (1 - share + 1e-5)
        foreground = (near + alpha * (image - alpha * near - (1 - alpha) * behind)).clamp(0, 1)
    return torch.where(alpha > 0.99, image, foreground), behind.clamp(0, 1)


def _plate(image: Tensor, behind: Tensor, alpha: Tensor, face_px: float) -> Tensor:
    """The place: as photographed where no person is near, and continued from there inwards (a pyramid)."""
    margin = max(1, round(0.03 * face_px))
    covered = F.max_pool2d(alpha, 2 * margin + 1, 1, margin)
    known = (1 - covered / 0.06).clamp(0, 1)
    filled = _pull_push(image, known)
    soft = _box(_box(known, margin), margin).minimum(known)
    return image * soft + filled * (1 - soft)


def _pull_push(image: Tensor, known: Tensor) -> Tensor:
    """``image`` (3, H, W) where ``known`` (1, H, W) is 1; elsewhere what is known nearest, ever smoother."""
    if min(image.shape[1:]) <= 2:
        return (image * known).mean((1, 2), keepdim=True) / (known.mean() + 1e-6) + 0 * image
    weighted = F.avg_pool2d(
        torch.cat([image * known, known])[None], 2, ceil_mode=True, count_include_pad=False
    )[0]
    share = weighted[3:]
    smaller = _pull_push(weighted[:3] / (share + 1e-6), (share * 4).clamp(0, 1))
    larger = F.interpolate(smaller[None], image.shape[1:], mode="bilinear", align_corners=False)[0]
    return image * known + larger * (1 - known)


def _box(maps: Tensor, radius: int) -> Tensor:
    """Means over squares of side 2 radius + 1, smaller at the border."""
    for axis in (1, 2):
        length = maps.shape[axis]
        sums = F.pad(maps.double().cumsum(axis), [0, 0, 1, 0] if axis == 1 else [1, 0])
        ends = (torch.arange(length) + radius + 1).clamp(max=length)
        starts = (torch.arange(length) - radius).clamp(min=0)
        counts = (ends - starts).reshape(-1, 1) if axis == 1 else ends - starts
        maps = ((sums.index_select(axis, ends) - sums.index_select(axis, starts)) / counts).float()
    return maps


def _resized(maps: Tensor, size: torch.Size) -> Tensor:
    return F.interpolate(maps[None], size, mode="bilinear", align_corners=False)[0]
