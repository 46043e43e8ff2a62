"""What image and video encoders share: a frozen trunk, and late blocks behind the unfreeze boundary."""

from abc import ABC, abstractmethod

from torch import nn


class Encoder(nn.Module, ABC):
    """``embed`` runs the trunk without gradient, once per clip; ``finish`` runs the late blocks."""

    width: int

    @abstractmethod
    def late_parameters(self) -> list[nn.Parameter]:
        """Parameters that training may unfreeze; they take no part in ``embed``."""

    def late_blocks(self) -> list[nn.Module]:
        """Blocks behind the unfreeze boundary; none unless a subclass has some."""
        return []

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Names the frozen weights and settings that the result of ``embed`` depends on."""
