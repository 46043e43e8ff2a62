"""Clips as the pixels they are, for systems with eyes of their own."""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor, nn

from pvchat.batch import Clip, Features
from pvchat.errors import UserError
from pvchat.faces import DOUBTFUL, HEAD, FaceAnalyzer
from pvchat.modules.base_views import Views


class FrameViews(Views):
    """``frames`` (T, image_px * image_px, 3) uint8: each frame whole, scaled into a square with black edges.
    Nothing here can be read by a Q-former, which never sees them. ``faces`` finds the heads to paint over."""

    context_width = 8  # of the Q-former that is not asked

    def __init__(self, *, image_px: int = 448, faces: FaceAnalyzer | None = None) -> None:
        super().__init__()
        if image_px < 1:
            raise UserError(f"image_px must be >= 1: got {image_px}.")
        self.image_px, self.faces = image_px, faces or FaceAnalyzer()

    def forward(self, views: dict[str, Tensor], view_masks: dict[str, Tensor]) -> tuple[Tensor, None]:
        raise UserError("frames are shown to a baseline, not to a Q-former: set model.baseline.")

    def extract(self, clip: Clip, blank_faces: bool = False) -> Features:
        frames = self.faces.blank_heads(clip.frames) if blank_faces else clip.frames
        side = (self.image_px, self.image_px)
        squares = np.stack([np.asarray(ImageOps.pad(Image.fromarray(f), side)) for f in frames])
        shown = torch.ones(len(frames), dtype=torch.bool)
        return {"frames": torch.from_numpy(squares).flatten(1, 2), "frames.mask": shown}

    def shapes(self, num_frames: int) -> dict[str, tuple[int, ...]]:
        return {"frames": (num_frames, self.image_px**2, 3)}

    def check_frames(self, num_frames: int, shown: Sequence[int | None]) -> None:
        """Any number will do."""

    @property
    def fingerprint(self) -> str:
        return f"frames-1-{self.image_px}-{DOUBTFUL}-{HEAD}-{self.faces.fingerprint}"

    def standardise(self, features: Iterable[Features]) -> None:
        """Nothing depends on the training clips."""

    def late_parameters(self) -> list[nn.Parameter]:
        return []

    def bridge_parameters(self) -> list[nn.Parameter]:
        return []


def images_of(frames: Tensor) -> list[Image.Image]:
    """The pictures in a ``frames`` view (T, px * px, 3) of one clip."""
    side = round(frames.shape[1] ** 0.5)
    return [Image.fromarray(f.numpy()) for f in frames.cpu().reshape(-1, side, side, 3)]
