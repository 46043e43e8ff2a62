"""How pictures and clips of other data sets are asked about in our own form."""

import re
from collections.abc import Collection, Mapping, Sequence

from pvchat.batch import QuestionType
from pvchat.datamodules.manifest import QA
from pvchat.errors import UserError
from pvchat.subjects import mention, mentions

_TYPES: tuple[tuple[QuestionType, re.Pattern[str]], ...] = (
    ("appearance", re.compile(r"\b(?:wear|outfit|cloth|attire|dress|appearance)", re.I)),
    ("action", re.compile(r"\b(?:activit|action|behavio|doing|movement|perform)", re.I)),
    ("location", re.compile(r"\b(?:where|location|place|position|scene)", re.I)),
)


def question_type(question: str) -> QuestionType:
    """What an open question asks for, by its words; ``general`` where none tells."""
    kinds: list[QuestionType] = [kind for kind, pattern in _TYPES if pattern.search(question)]
    return kinds[0] if kinds else "general"


def existence(presence: Mapping[str, bool], *, what: str) -> list[QA]:
    """One question for each person or thing: is it in this ``what`` (photo, video)?"""
    said = {True: "Yes, {} is in this {}.", False: "No, {} is not in this {}."}
    return [
        QA(
            f"Can you see {mention(name)} in this {what}?",
            said[present].format(mention(name), what),
            "existence",
            "yes" if present else "no",
            (name,),
        )
        for name, present in presence.items()
    ]


def choice(question: str, options: Sequence[str], right: str, asked: Sequence[str], where: str) -> QA:
    """A question of multiple choice: the options stand in the question, the right one is the answer.
    Answers are then compared as words, so that the letter of an option is nothing to be learned."""
    if len({option.casefold() for option in options}) != len(options) or len(options) < 2:
        raise UserError(f"{where}: options must be two or more that differ: got {list(options)}.")
    text = f"{question.strip()} Answer with one of: {'; '.join(options)}."
    return QA(text, right, "general", None, tuple(asked))


def opened(question: str, answer: str, asked: Collection[str]) -> QA:
    """An open question about whom it names, or else about all of ``asked``."""
    return QA(question, answer, question_type(question), None, mentions(question) or tuple(asked))


def named(text: str, subject: str) -> str:
    """``text`` in which ``red_doll``, ``Red doll``, ``<red doll>``, ``sks``, .. mention the ``subject``."""
    words = r"[ _-]".join(re.escape(word) for word in re.split(r"[ _-]", subject))
    return re.sub(
        rf"<(?:{words}|sks)>|(?<![\w<])(?:{words}|sks)(?![\w>])", mention(subject), text, flags=re.I
    )
