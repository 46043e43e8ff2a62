"""What views of a clip are: features that are computed once, and the context that the Q-former reads."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pvchat.batch import Clip, FeatureExtractor, Features, first_frames
from pvchat.modules.video_encoder import VideoEncoder
from pvchat.modules.vision import VisionEncoder


class Views(nn.Module, ABC):
    """``extract`` is the frozen half and runs once per clip, ``forward`` runs in each step.

    The Q-former reads a clip ``num_passes`` times, each time another part of the context."""

    encoder: VisionEncoder | VideoEncoder
    context_width: int
    num_passes: int = 1

    @abstractmethod
    def forward(
        self, views: dict[str, Tensor], view_masks: dict[str, Tensor]
    ) -> tuple[Tensor, Tensor | None]:
        """Features of B clips -> context (B * V, K, D), the V passes of a clip one after another, and its
        mask (B * V, K), None where all of it shows something."""

    @abstractmethod
    def extract(self, clip: Clip, blank_faces: bool = False) -> Features:
        """The cached part, on the CPU. With ``blank_faces`` heads are painted over first."""

    @abstractmethod
    def shapes(self, num_frames: int) -> dict[str, tuple[int, ...]]:
        """Shapes of the features of a clip of ``num_frames`` frames, without the masks."""

    @abstractmethod
    def check_frames(self, num_frames: int, shown: Sequence[int | None]) -> None:
        """Raise UserError unless clips of ``num_frames`` can be read, all of them or as many as ``shown``."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Names all that ``extract`` depends on."""

    def show(self, features: Features, num_frames: int | None) -> Features:
        """Features of the first ``num_frames`` frames, of all when None."""
        return first_frames(features, num_frames)

    def standardise(self, features: Iterable[Features]) -> None:
        """Set what depends on the training clips, before training: nothing, unless a subclass has some."""

    def late_parameters(self) -> list[nn.Parameter]:
        """The encoder's parameters that training may unfreeze."""
        return self.encoder.late_parameters()

    def bridge_parameters(self) -> list[nn.Parameter]:
        """What is learned here besides the encoder."""
        encoder = {id(p) for p in self.encoder.parameters()}
        return [p for p in self.parameters() if id(p) not in encoder]

    @property
    def extractor(self) -> FeatureExtractor:
        """``extract`` as the datamodule wants it."""
        return ViewExtractor(self)


@dataclass(frozen=True)
class ViewExtractor:
    """The frozen half of ``Views`` as a plain callable."""

    views: Views

    @property
    def fingerprint(self) -> str:
        return self.views.fingerprint

    def __call__(self, clip: Clip, *, blank_faces: bool = False) -> Features:
        return self.views.extract(clip, blank_faces)

    def to(self, device: torch.device) -> "Views":
        return self.views.to(device)

    def show(self, features: Features, num_frames: int | None) -> Features:
        return self.views.show(features, num_frames)
