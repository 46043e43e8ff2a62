"""What a closed mouth of a photo cannot show: the dark inside, and a hint of teeth."""

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageDraw, ImageFilter
from torch import Tensor

from pvchat.synthesis.animation.expressions import INNER_LOWER, INNER_UPPER, LOWER_LIP

Array = npt.NDArray[np.float64]
_FINER = 4  # drawn that much larger, then averaged


class MouthPainter:
    """Paints the inside of the mouth of a face at ``rest`` (468, 2), photographed in ``image`` (3, H, W)."""

    def __init__(self, rest: Array, image: Tensor, unit_px: float) -> None:
        self.rest, self.unit_px = rest, unit_px
        x, y = rest[list(LOWER_LIP)].round().astype(int).T
        lip = image[:, y.clip(0, image.shape[1] - 1), x.clip(0, image.shape[2] - 1)].mean(1)
        self.dark = 0.26 * lip
        self.teeth = (0.45 * lip.max() + 0.55 * lip).clamp(max=0.75)

    def paint(self, colours: Tensor, landmarks: Array, corner: tuple[int, int]) -> None:
        """Change ``colours`` (3, h, w), a frame's part that begins at ``corner`` (left, top), in place."""
        upper, lower = landmarks[list(INNER_UPPER)], landmarks[list(INNER_LOWER)]
        shown = self.rest[list(INNER_LOWER)] - self.rest[list(INNER_UPPER)]  # teeth of the photo stay
        edge = upper + np.minimum(1.0, _length(lower - upper) / (_length(shown) + 1e-6)) * shown
        opened = float((_length(lower - edge)).max()) / self.unit_px
        strength = min(1.0, max(0.0, (opened - 0.015) / 0.03))
        if not strength:
            return
        outline = np.concatenate([edge, lower[-2:0:-1]])
        low = np.maximum(np.floor(outline.min(0)).astype(int) - 3, corner)
        high = np.minimum(np.ceil(outline.max(0)).astype(int) + 4, np.add(corner, colours.shape[:0:-1]))
        if (high - low).min() < 3:
            return
        soft = max(0.5, 0.012 * self.unit_px)
        inside = strength * _drawn(outline - low, high - low, soft)
        left, top = low - corner
        patch = colours[:, top : top + inside.shape[0], left : left + inside.shape[1]]
        patch += inside * (self.dark[:, None, None] - patch)
        if _length(shown).max() < 0.04 * self.unit_px:
            band = np.concatenate([edge, (edge + 0.25 * (lower - edge))[-2:0:-1]])
            hint = 0.4 * min(1.0, opened / 0.15) * _drawn(band - low, high - low, 1.5 * soft) * inside
            patch += hint * (self.teeth[:, None, None] - patch)


def _length(vectors: Array) -> Array:
    return np.asarray(np.linalg.norm(vectors, axis=-1, keepdims=True))


def _drawn(outline: Array, size: npt.NDArray[np.int_], soft: float) -> Tensor:
    """A filled polygon (h, w) in 0..1 with a soft edge."""
    width, height = (int(n) for n in size)
    image = Image.new("L", (width * _FINER, height * _FINER))
    ImageDraw.Draw(image).polygon([(float(x), float(y)) for x, y in (outline + 0.5) * _FINER], fill=255)
    small = image.reduce(_FINER).filter(ImageFilter.GaussianBlur(soft))
    return torch.from_numpy(np.array(small, np.float32) / 255)
