"""Answers of the training clips as phrases: whoever they name, they can be said of others."""

from collections import Counter
from collections.abc import Sequence

from pvchat.batch import Example
from pvchat.subjects import mention


def phrase_of(example: Example) -> str:
    """The answer of ``example`` with places, ``<0>``, ``<1>``.., for the persons that are asked about."""
    text = example.answer
    for place, name in enumerate(example.subjects):
        text = text.replace(mention(name), mention(str(place)))
    return text


def fill_phrase(phrase: str, subjects: Sequence[str]) -> str:
    """``phrase`` said of ``subjects``; places without one are left to the first."""
    for place in range(9):
        name = subjects[place] if place < len(subjects) else next(iter(subjects), "")
        phrase = phrase.replace(mention(str(place)), mention(name) if name else "the person")
    return phrase


def most_frequent(phrases: Counter[str]) -> str:
    """The most frequent phrase, of equally frequent ones the first by the alphabet; empty without any."""
    return min(phrases, key=lambda p: (-phrases[p], p), default="")
