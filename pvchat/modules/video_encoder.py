"""What a video encoder is: it reads all frames of a clip jointly, split at the unfreeze boundary.

Beside ``VisionEncoder``, which reads images one by one.
"""

from abc import abstractmethod

from torch import Tensor

from pvchat.errors import UserError
from pvchat.modules.encoder import Encoder


class VideoEncoder(Encoder):
    """``finish(embed(video))`` are the visual tokens of videos; only ``finish`` is differentiable."""

    image_px: int  # side of the square frames it takes
    num_frames: int  # frames it was made for
    num_late_blocks: int  # blocks behind the unfreeze boundary

    @abstractmethod
    def num_tokens(self, num_frames: int) -> int:
        """L, tokens of a video of ``num_frames``, at the boundary and at the end."""

    @abstractmethod
    def embed(self, video: Tensor) -> Tensor:
        """Videos (N, T, 3, H, W) with values in 0..255 -> tokens (N, L, D) at the unfreeze boundary, without
        gradient. Raises UserError for frames of a size the encoder does not take."""

    @abstractmethod
    def finish(self, tokens: Tensor) -> Tensor:
        """Tokens (N, L, D) from ``embed`` -> visual tokens (N, L, D)."""

    def check(self, video: Tensor) -> None:
        """Raise UserError unless ``video`` is what ``embed`` takes."""
        if video.ndim != 5 or video.shape[1] < 1 or video.shape[2:] != (3, self.image_px, self.image_px):
            raise UserError(
                f"the encoder takes videos (N, T, 3, {self.image_px}, {self.image_px}): got "
                f"{tuple(video.shape)}. Cut the frames into views of that size."
            )
