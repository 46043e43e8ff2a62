"""Who knows what somebody on screen wears and does, and where: the scene, somebody's notes, a captioner."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pvchat.batch import QuestionType
from pvchat.subjects import mention
from pvchat.synthesis.backgrounds import place
from pvchat.synthesis.composer import Scene
from pvchat.synthesis.motions import doing
from pvchat.synthesis.questions.bank import ANSWERS
from pvchat.synthesis.roles import AnswerRewriter, Frames, VideoCaptioner

ANYBODY = "the person"


def called(name: str | None) -> str:
    """How somebody is written; None is whoever is on screen."""
    return ANYBODY if name is None else mention(name)


class Witness(Protocol):
    """Knows one person of one clip."""

    def answer(
        self, kind: QuestionType, question: str, name: str | None, rng: np.random.Generator
    ) -> str | None:
        """The answer about ``name`` to a ``question`` of the bank, which spells the person ``{s}``; None
        where it is not known."""
        ...


@dataclass(frozen=True)
class Facts:
    """Phrases such as ``Facts("a red coat", "nodding", "on a beach")``: exact where they were commanded, free
    text otherwise. None: not known, so not asked."""

    clothes: str | None = None
    doing: str | None = None
    place: str | None = None

    @classmethod
    def of_scene(cls, scene: Scene) -> "Facts":
        return cls(with_article(str(scene.clothes)), doing(scene.motion), place(scene.background))

    def answer(
        self, kind: QuestionType, question: str, name: str | None, rng: np.random.Generator
    ) -> str | None:
        phrases = {"clothes": self.clothes, "doing": self.doing, "place": self.place}
        answer = ANSWERS[kind][rng.integers(len(ANSWERS[kind]))]
        if any(phrase is None and f"{{{key}}}" in answer for key, phrase in phrases.items()):
            return None
        return capitalised(answer.format(s=called(name), **phrases))


@dataclass(frozen=True)
class CaptionedClip:
    """Asks a ``captioner`` about ``frames`` (T, H, W, 3); ``rewriter`` makes the answer personal."""

    frames: Frames
    captioner: VideoCaptioner
    rewriter: AnswerRewriter

    def answer(
        self, kind: QuestionType, question: str, name: str | None, rng: np.random.Generator
    ) -> str | None:
        told = self.captioner.caption(self.frames, question.format(s=ANYBODY))
        if name is None:
            return told
        return self.rewriter.rewrite(question.format(s=mention(name)), told, subject=name)


@dataclass(frozen=True)
class FirstOf:
    """The first of ``witnesses`` who knows."""

    witnesses: tuple[Witness, ...]

    def answer(
        self, kind: QuestionType, question: str, name: str | None, rng: np.random.Generator
    ) -> str | None:
        told = (witness.answer(kind, question, name, rng) for witness in self.witnesses)
        return next((answer for answer in told if answer is not None), None)


def with_article(noun: str) -> str:
    """``"orange shirt"`` -> ``"an orange shirt"``."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def capitalised(sentence: str) -> str:
    """With a capital; what follows stays as it is."""
    return sentence[0].upper() + sentence[1:]
