"""English words for people, as captions use them, and the patterns that find them."""

import re
from typing import Literal

Gender = Literal["male", "female"]

APOSTROPHE = "['\u2019]"


def _list(words: str) -> list[str]:
    return words.split()


NOUNS: dict[str, Gender | None] = {
    **dict.fromkeys(_list("man guy gentleman boy male fellow lad"), "male"),
    **dict.fromkeys(_list("woman lady girl female"), "female"),
    **dict.fromkeys(
        _list("person individual human adult teenager character subject presenter speaker figure")
    ),
    **dict.fromkeys(["human being", "someone", "somebody"]),
}
"""Generic names of one person and the gender they tell."""

RELATIVES: dict[str, Gender | None] = {
    **dict.fromkeys(_list("husband father dad brother son boyfriend uncle grandfather groom waiter"), "male"),
    **dict.fromkeys(_list("wife mother mom sister daughter girlfriend aunt grandmother bride"), "female"),
    **dict.fromkeys(_list("friend child baby kid toddler partner colleague doctor patient teacher student")),
}
"""Who is never the subject of an answer: they belong to somebody, or are named by what they are."""

PRONOUNS: dict[str, tuple[Gender | None, Literal["he", "him", "his", "himself"]]] = {
    "he": ("male", "he"),
    "him": ("male", "him"),
    "his": ("male", "his"),
    "himself": ("male", "himself"),
    "she": ("female", "he"),
    "her": ("female", "him"),  # or "his": what follows decides
    "hers": ("female", "his"),
    "herself": ("female", "himself"),
    "they": (None, "he"),
    "them": (None, "him"),
    "their": (None, "his"),
    "theirs": (None, "his"),
    "themselves": (None, "himself"),
    "themself": (None, "himself"),
}
"""Gender and case, the case spelled by the masculine form."""

_GROUPS = _list(
    "men women people persons individuals boys girls children kids guys ladies gentlemen others couple crowd "
    "audience friends colleagues students team group family"
)
_ADJECTIVES = _list(
    "young younger old older elderly adult tall short slim bald blond blonde bearded main same very black "
    "white asian caucasian indian african american european hispanic latino latina male female little happy "
    "handsome beautiful lone single only"
)
_OTHERS = _list("other second third another no every each any")
# "the human body", "the male voice", "the subject of the talk" are nobody
_NOBODY_AFTER = r"(?!\s+(?:body|face|figure|hand|being|voice|nature)\b)"
_ADJECTIVE = rf"(?:{'|'.join([*_ADJECTIVES, *_OTHERS])}|\w+-\w+|\w+(?:ing|ed))"

REFERENCE = re.compile(
    r"(?P<mention><[^<>]+>)"
    rf"|\b(?P<words>(?P<determiner>the|this|that|a|an|one|{'|'.join(_OTHERS)})\s+"
    rf"(?P<adjectives>(?:{_ADJECTIVE},?\s+){{0,4}}))"
    rf"(?P<noun>{'|'.join(sorted(NOUNS, key=len, reverse=True))})(?![\w-]){_NOBODY_AFTER}(?!\s+of\b)"
    rf"(?P<possessive>{APOSTROPHE}s\b(?!\s+\w+ing\s+(?:a|an|the|in|on|at|to|with|and|while)\b))?"
    rf"|\b(?P<somebody>someone|somebody)\b(?!\s+else)(?P<possessive2>{APOSTROPHE}s\b)?"
    rf"|\b(?P<relative>{'|'.join(RELATIVES)})\b"
    rf"|\b(?P<group>{'|'.join(_GROUPS)})\b"
    rf"|\b(?P<pronoun>{'|'.join(sorted(PRONOUNS, key=len, reverse=True))})\b"
    rf"(?:{APOSTROPHE}(?P<short>s|re|ll|d|ve)\b)?",
    re.IGNORECASE,
)
"""One person or group after the other, in the order of the text."""

OTHER_ONE = re.compile(rf"\b({'|'.join(_OTHERS)})\b", re.IGNORECASE)
BESIDE = (
    r"(?:behind|beside|besides|next\s+to|near|with|opposite|facing|around|in\s+front\s+of|close\s+to|"
    r"towards?|to|at|by|from|for|alongside|against|across\s+from|to\s+the\s+(?:left|right)\s+of|between|and|after|before|over|than|like)"
)
RESTRICTED = re.compile(rf"\s+(?:in|on|with|who|that|wearing|sitting|standing|at|{BESIDE})\b", re.IGNORECASE)
ON_SCREEN = re.compile(
    r"\s+(?:(?:seen|shown|visible|depicted|featured|appearing)\s+)?in\s+(?:the|this)\s+"
    r"(?:video|clip|footage|image|frame|picture|photo|recording|question)(?=\s+\w)",
    re.IGNORECASE,
)
"""Says no more than that the person is seen; dropped before a verb."""

ALONE_BEFORE = frozenset(
    _list(
        "a an the and or but as while when who whom which that is was are were has had with without in into "
        "on onto at to from for by behind beside near next around across against during through under above "
        "before after because so if then this these those some of"
    )
)
"""Begin something new after "her", which then stands alone; ``PARTICLES`` do if nothing follows them."""
PARTICLES = frozenset(_list("up down out away over back"))
MODALS = frozenset(_list("can could will would shall should may might must did had"))
PASTS = frozenset(
    _list(
        "was were went came sat stood held took wore spoke ran saw said got made began drank ate felt "
        "found gave kept knew left looked lost met put read rode rose sang set shook slept threw told lay"
    )
)
ADVERBS = frozenset(_list("also then still often always never just now soon later sometimes both"))
NO_PLURALS = (
    "is was has his this as us its dress glass grass always perhaps indoors outdoors upstairs downstairs "
    "towards sideways across besides arms hands eyes legs lips shoulders fingers knees feet"
)
"""End in s and are not several things."""
