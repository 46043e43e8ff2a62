"""What a video encoder is: it reads all frames of a clip jointly, split at the unfreeze boundary.

Beside ``VisionEncoder``, which reads images one by one.
"""

from abc import ABC, abstractmethod

from torch import Tensor, nn


class VideoEncoder(nn.Module, ABC):
    """``finish(embed(video))`` are the visual tokens of videos; only ``finish`` is differentiable."""

    width: int
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

    @abstractmethod
    def late_parameters(self) -> list[nn.Parameter]:
        """Parameters that training may unfreeze; they take no part in ``embed``."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Names the frozen weights and settings that the result of ``embed`` depends on."""
