"""A system that is asked in place of the trained model: it studies the training clips and trains nothing."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext

from torch import Tensor

from pvchat.batch import Batch, TrainingClip
from pvchat.modules.video_chat import Control


class Baseline(ABC):
    """A ``Respondent`` of ``pvchat.evaluation``. What it knows is a function of the training clips, so it is
    not saved: each test shows them again. ``threshold`` on its scores is calibrated as any model's."""

    threshold: float = 0.0

    @abstractmethod
    def study(self, clips: Iterable[TrainingClip]) -> None:
        """See the training clips, before anything is asked."""

    @abstractmethod
    def presence_scores(self, batch: Batch, *, control: Control = "main") -> Tensor:
        """How sure it is of a yes (B,): higher is surer."""

    @abstractmethod
    def answer(self, batch: Batch, *, control: Control = "main", max_new_tokens: int = 32) -> list[str]:
        """Written answers; persons are spelled ``<name>`` or by their plain name."""

    def other_subject(self) -> AbstractContextManager[None]:
        """Changes nothing, unless a subclass keeps something of each person."""
        return nullcontext()
