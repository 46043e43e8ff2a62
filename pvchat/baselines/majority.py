"""The most frequent answer, whatever is shown: what a metric gives away for nothing."""

from collections import Counter
from collections.abc import Iterable

import torch
from torch import Tensor

from pvchat.baselines.baseline import Baseline
from pvchat.baselines.phrases import fill_phrase, most_frequent, phrase_of
from pvchat.batch import Batch, TrainingClip
from pvchat.modules.video_chat import Control


class MajorityAnswer(Baseline):
    """Answers with the most frequent answer to training questions of the same type and number of persons, yes
    and no counted alike; to a type that was never asked with that of all questions. It sees no clip, and all
    its scores are 0."""

    def __init__(self) -> None:
        self.phrases: dict[tuple[str, int], str] = {}
        self.usual = ""

    def study(self, clips: Iterable[TrainingClip]) -> None:
        found: dict[tuple[str, int], Counter[str]] = {}
        for example in (e for clip in clips for e in clip.examples):
            asked = found.setdefault((example.type, len(example.subjects)), Counter())
            asked[phrase_of(example)] += 1
        self.phrases = {key: most_frequent(phrases) for key, phrases in found.items()}
        self.usual = most_frequent(sum(found.values(), Counter[str]()))

    def presence_scores(self, batch: Batch, *, control: Control = "main") -> Tensor:
        return torch.zeros(len(batch))

    def answer(self, batch: Batch, *, control: Control = "main", max_new_tokens: int = 32) -> list[str]:
        return [
            fill_phrase(self.phrases.get((e.type, len(e.subjects)), self.usual), e.subjects)
            for e in batch.examples
        ]
