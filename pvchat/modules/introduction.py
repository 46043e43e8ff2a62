"""How persons are made known to the language model where no name token stands for them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable

from torch import Tensor

from pvchat.batch import Batch, TrainingClip
from pvchat.prompts import PromptBuilder

Look = Callable[[Batch], tuple[Tensor, Tensor]]
"""Clips -> their visual tokens (B, N, D) and mask (B, N)."""


class Introduction(ABC):
    """Changes the prompt of a ``VideoChat`` and what is shown; head rows of new tokens do not train."""

    @abstractmethod
    def prompts(self, prompts: PromptBuilder) -> PromptBuilder:
        """The builder to use in place of ``prompts``."""

    @abstractmethod
    def study(self, clips: Iterable[TrainingClip]) -> None:
        """See the training clips, before training and before each test; nothing of it is saved."""

    @abstractmethod
    def extend(
        self, batch: Batch, tokens: Tensor, mask: Tensor, *, look: Look, rows: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Visual tokens (B, N, D) and mask (B, N) of ``batch`` with what else the slots of the prompt
        show: other clips, which ``look`` reads, or some of ``rows`` (R, D), the trainable tokens."""
