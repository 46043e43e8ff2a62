"""The question bank and its answers: what is asked about a clip, for any number of persons."""

from pvchat.synthesis.questions.asking import QuestionPlan, fill_questions
from pvchat.synthesis.questions.bank import FIRM, VARIED, Bank
from pvchat.synthesis.questions.clip_questions import (
    QuestionCounts,
    clip_qa,
    existence_qa,
    general_qa,
    open_qa,
)
from pvchat.synthesis.questions.witnesses import CaptionedClip, Facts, Witness

__all__ = [
    "FIRM",
    "VARIED",
    "Bank",
    "CaptionedClip",
    "Facts",
    "QuestionCounts",
    "QuestionPlan",
    "Witness",
    "clip_qa",
    "existence_qa",
    "fill_questions",
    "general_qa",
    "open_qa",
]
