"""What a video encoder is: it reads all frames of a clip jointly, split at the unfreeze boundary.

Beside ``VisionEncoder``, which reads images one by one.
"""

from abc import abstractmethod

from torch import Tensor

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
