"""Face retrieval and text templates, nothing trained: in the manner of RAP (Hao et al., CVPR 2025)."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from pvchat.baselines.baseline import Baseline
from pvchat.baselines.face_gallery import NOBODY, FaceGallery
from pvchat.baselines.phrases import fill_phrase, most_frequent, phrase_of
from pvchat.batch import Batch, Example, Features, TrainingClip
from pvchat.faces import SAME_PERSON
from pvchat.modules.video_chat import Control


@dataclass(frozen=True)
class Told:
    """What was answered about a training clip, ``look`` (D,) the unit mean of its frame patches."""

    kind: str
    phrase: str
    look: Tensor


class FaceRetrieval(Baseline):
    """Compares the faces of a clip with those of the reference, and answers with sentences of the corpus.

    The score of a person is ``SAME_PERSON`` minus the least distance of a face of any frame to one of the
    reference, that of a question the least among those it asks about. Presence is answered with the corpus'
    most frequent sentence for a yes or a no. Of an open question, who is absent is refused, with the most
    frequent such answer; who is present gets the answer to a question of the same type about the training
    clip that looks most alike (cosine of the mean patch of its frames). Raises UserError without the
    identity view, and where no reference shows a face."""

    gallery: FaceGallery

    def __init__(self) -> None:
        self.told: list[Told] = []
        self.phrases: dict[tuple[str, bool], str] = {}

    def study(self, clips: Iterable[TrainingClip]) -> None:
        seen = list(clips)
        self.gallery = FaceGallery(seen)
        self.told = []
        found: dict[tuple[str, bool], Counter[str]] = {}
        for clip in seen:
            look = _look(clip.features)
            for example in clip.examples:
                there = _is_yes(example)
                found.setdefault((example.type, there), Counter())[phrase_of(example)] += 1
                if there and look is not None and example.type != "existence":
                    self.told.append(Told(example.type, phrase_of(example), look))
        self.phrases = {key: most_frequent(phrases) for key, phrases in found.items()}

    def presence_scores(self, batch: Batch, *, control: Control = "main") -> Tensor:
        scores = [min(row.values(), default=SAME_PERSON - NOBODY) for row in self._scores(batch, control)]
        return torch.tensor(scores)

    def answer(self, batch: Batch, *, control: Control = "main", max_new_tokens: int = 32) -> list[str]:
        looks: list[Tensor | None] = [None] * len(batch)
        if control != "text_only":
            looks = [_look({n: v[i] for n, v in batch.views.items()}) for i in range(len(batch))]
        return [
            self._answer(example, {name: score > self.threshold for name, score in scores.items()}, look)
            for example, scores, look in zip(batch.examples, self._scores(batch, control), looks, strict=True)
        ]

    def _answer(self, example: Example, there: dict[str, bool], look: Tensor | None) -> str:
        present = all(there.values())
        if example.type != "existence":
            phrase = self._nearest(example.type, look) if present else self._usual(example.type, False)
            return fill_phrase(phrase, example.subjects)
        if len(set(there.values())) < 2:
            return fill_phrase(self._usual("existence", present), example.subjects)
        said = [fill_phrase(self._usual("existence", yes), [name]) for name, yes in there.items()]
        return " ".join(re.sub(r"^(Yes|No)\b[,.:]? *", "", text) for text in said)  # each for themselves

    def _usual(self, kind: str, there: bool) -> str:
        return self.phrases.get((kind, there)) or self.phrases.get(("existence", there), "")

    def _nearest(self, kind: str, look: Tensor | None) -> str:
        told = [t for t in self.told if t.kind == kind]
        if not told or look is None:
            return self._usual(kind, True)
        return max(told, key=lambda t: float(t.look @ look)).phrase

    def _scores(self, batch: Batch, control: Control) -> list[dict[str, float]]:
        """Of each question, the score of each person it asks about."""
        if control == "text_only":
            return [dict.fromkeys(e.subjects, SAME_PERSON - NOBODY) for e in batch.examples]
        rows = self.gallery.distances(batch)
        return [
            {name: SAME_PERSON - row[name] for name in e.subjects}
            for e, row in zip(batch.examples, rows, strict=True)
        ]


def _is_yes(example: Example) -> bool:
    """Whether yes is true, or all who are asked about are on screen."""
    if example.polarity is not None:
        return example.polarity == "yes"
    return all(example.presence.get(name, False) for name in example.subjects)


def _look(features: Features) -> Tensor | None:
    """Unit mean (D,) of the frames' patches; None without the global view."""
    view = features.get("global")
    return None if view is None else F.normalize(view.float().cpu().flatten(0, -2).mean(0), dim=0)
