"""Who is meant in an answer: the subject's references found and replaced, those of others left alone.

One pass from left to right over one answer of a few English sentences. The subject is who is named first;
a pronoun is the subject's if nobody else of its gender has come up. Where that does not decide, the word
stays: an answer that says "he" once too often is right, one about the wrong person is not."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from pvchat.subjects import mention
from pvchat.synthesis.person_words import (
    ADVERBS,
    ALONE_BEFORE,
    APOSTROPHE,
    BESIDE,
    MODALS,
    NO_PLURALS,
    NOUNS,
    ON_SCREEN,
    OTHER_ONE,
    PARTICLES,
    PASTS,
    PRONOUNS,
    REFERENCE,
    RELATIVES,
    RESTRICTED,
    Gender,
)

_WORD = re.compile(rf"\s+([\w-]+(?:{APOSTROPHE}\w+)?)")
_ANY_WORD = re.compile(r"[\w'\u2019-]+")
_IS = re.compile(rf"{APOSTROPHE}s\b")
_BY = re.compile(r"\bby\s+$")
_BOUNDARY = re.compile(r"[.,;:!?]|\b(?:and|but|or|while|as|because|when|where|that|which|who)\b", re.I)
_SHOWING = "show|featur|depict|see|contain|captur|record|film|be"
_COMPANION = re.compile(rf"(?:\b{BESIDE}|\b(?!{_SHOWING})\w+ing)\s+$", re.I)
_STANDS = r"(?:is\s+|are\s+)?(?:(?:\w+(?:ing|s)|sat|stood)\s+)?(?:just\s+|right\s+)?"
_BESIDE_ONLY = re.compile(rf"\s+{_STANDS}{BESIDE}\s+$", re.I)
_IS_A = re.compile(r"\s+(?:is|was|(?:appears|seems)\s+to\s+be|looks\s+like)\s+", re.I)
_PLURAL = re.compile(rf"(?:([\w>]+)\s+)?\b(?!(?:{NO_PLURALS.replace(' ', '|')})\b)(\w{{2,}}s)\b", re.I)
_SINGULAR = {"are": "is", "were": "was", "have": "has", "do": "does"}
_SINGULAR |= {f"{many}n't": f"{one}n't" for many, one in _SINGULAR.items()}


def personalised(answer: str, subject: str, *, gender: Gender | None = None) -> str:
    """``answer`` with ``<subject>`` where the subject is meant; ``gender`` helps if others are there too."""
    return _Reader(answer, mention(subject), gender).read()


@dataclass(frozen=True)
class _Change:
    """``text`` instead of what is from ``start`` to ``end``."""

    start: int
    end: int
    text: str


class _Reader:
    """What is known at the current place of ``text``: who has come up so far."""

    def __init__(self, text: str, name: str, gender: Gender | None) -> None:
        self.text, self.name, self.gender = text, name, gender
        self.is_named = self.is_gendered = self.has_group = False
        self.others: set[Gender | None] = set()
        self.other_end = self.named_end = -1  # where another one, and the subject, was named last

    def read(self) -> str:
        handlers: dict[str, Callable[[re.Match[str]], _Change | None]] = {
            "mention": self._mention,
            "noun": self._noun,
            "somebody": self._noun,
            "relative": self._relative,
            "group": self._group,
            "pronoun": self._pronoun,
        }
        out, done, at = [], 0, 0
        while match := REFERENCE.search(self.text, at):
            change = handlers[next(kind for kind in handlers if match[kind])](match)
            at = match.end()
            if change:
                out += [self.text[done : change.start], change.text]
                done = at = change.end
                self._name(change.start, -1 if change.text.endswith("'s") else at)
        return "".join([*out, self.text[done:]])

    def _name(self, start: int, end: int) -> None:
        """``named_end`` is for one who may be the subject of the sentence: not "behind <tom>"."""
        self.is_named, self.named_end = True, -1 if _COMPANION.search(self.text[:start]) else end

    def _mention(self, match: re.Match[str]) -> None:
        if match[0] == self.name:
            self._name(*match.span())
        else:
            self._meet(None, match.end())

    def _relative(self, match: re.Match[str]) -> None:
        self._meet(RELATIVES[match[0].lower()], match.end())

    def _group(self, match: re.Match[str]) -> None:
        self.has_group = True
        self.other_end = match.end()

    def _meet(self, gender: Gender | None, end: int) -> None:
        self.others.add(gender)
        self.other_end = end

    def _noun(self, match: re.Match[str]) -> _Change | None:
        gender = _gender_of(match)
        if self.named_end >= 0 and _IS_A.fullmatch(self.text, self.named_end, match.start()):
            self.gender = self.gender or gender  # "<tom> is a man": nobody new
            return None
        if not self._is_subject(match, gender):
            if not (match["determiner"] or "").lower().startswith("no"):
                self._meet(gender, match.end())
            return None
        if gender is not None:
            self.gender, self.is_gendered = gender, True
        if match["possessive"] or match["possessive2"]:
            return _Change(*match.span(), f"{self.name}'s")
        if short := _IS.match(self.text, match.end()):  # "the man's holding a cup"
            return _Change(match.start(), short.end(), f"{self.name} is")
        seen = ON_SCREEN.match(self.text, match.end())
        return _Change(match.start(), seen.end() if seen else match.end(), self.name)

    def _is_subject(self, match: re.Match[str], gender: Gender | None) -> bool:
        before, words = self.text[: match.start()], match["words"] or "a"
        if OTHER_ONE.search(words) or (gender and self.gender and gender != self.gender):
            return False
        if self.others and gender == self.gender is not None and not self.is_named:
            return gender not in self.others  # "a man and a woman", and the subject is known to be a woman
        if words.split()[0].lower() in ("a", "an", "one"):
            return not (self.is_named or self.others or self.has_group or _COMPANION.search(before))
        if self.gender is None and gender in self.others - {None}:
            return False
        if self.has_group and not self.is_named:
            return False
        is_crowded = self.has_group or gender in self.others
        if is_crowded and RESTRICTED.match(self.text, match.end()):
            return False
        # "<tom> hugs the man": nobody is object of a clause whose subject they are
        return self.named_end < 0 or bool(_BOUNDARY.search(self.text[self.named_end : match.start()]))

    def _pronoun(self, match: re.Match[str]) -> _Change | None:
        word = match["pronoun"].lower()
        gender, case = PRONOUNS[word]
        if word == "her" and not self._stands_alone(match.end()):
            case = "his"
        if not (self._is_them(match) if gender is None else self._is_theirs(gender, case, match)):
            return None
        if gender is not None:
            self.gender, self.is_gendered = gender, True
        if case == "he":
            return self._with_verb(match, is_plural=gender is None)
        if case == "himself" and (by := _BY.search(self.text, 0, match.start())):
            return _Change(by.start(), match.end(), "alone")
        return _Change(*match.span(), f"{self.name}'s" if case == "his" else self.name)

    def _is_theirs(self, gender: Gender, case: str, match: re.Match[str]) -> bool:
        """A pronoun of one gender is the subject's."""
        if self.gender is not None and self.gender != gender:
            return False
        between = self.text[self.other_end : match.start()] if self.other_end >= 0 else ""
        if case == "him" and _BESIDE_ONLY.fullmatch(between):
            return self.is_named or self.gender is not None  # "a man behind him" is not behind himself
        if self.has_group and not self.is_named:
            return False
        return gender not in self.others and (self.gender is not None or None not in self.others)

    def _is_them(self, match: re.Match[str]) -> bool:
        """``they`` and its forms are one person: nobody's gender was told and there is nobody else."""
        if self.has_group or self.others or self.is_gendered:
            return False
        word = match["pronoun"].lower()
        if word not in ("they", "them") or not _has_things(self.text[: match.start()]):
            return True
        following = _words(self.text[match.end() :], 2)  # things are not wearing or walking
        return word == "they" and len(following) == 2 and following[1].endswith("ing")

    def _stands_alone(self, end: int) -> bool:
        """``her`` is an object: nothing that could be hers follows."""
        if not re.match(r"\s+[\w]", self.text[end:]):
            return True
        first, *rest = _words(self.text[end:], 2)
        if first in PARTICLES or first.endswith("ly"):
            ends = not re.match(r"\s+[\w-]+\s+\w", self.text[end:])
            return ends or (bool(rest) and rest[0] in ALONE_BEFORE)
        return first in ALONE_BEFORE

    def _with_verb(self, match: re.Match[str], *, is_plural: bool) -> _Change:
        """The name in place of he, she or they; what follows agrees."""
        following = _words(self.text[match.end() :], 1)
        if short := (match["short"] or "").lower():
            had = "had" if following[:1] in (["been"], ["better"], ["had"]) else "would"
            has = "has" if following[:1] in (["got"], ["been"], ["had"]) else "is"
            verb = {"s": has, "re": "is", "ll": "will", "d": had, "ve": "has"}[short]
            return _Change(*match.span(), f"{self.name} {verb}")
        at = match.end()
        while is_plural and (found := _WORD.match(self.text, at)):
            verb = found[1].lower()
            if verb not in ADVERBS and not verb.endswith("ly"):
                between = self.text[match.end() : found.start(1)]
                return _Change(match.start(), found.end(), f"{self.name}{between}{_singular(verb)}")
            at = found.end()
        return _Change(*match.span(), self.name)


def _gender_of(match: re.Match[str]) -> Gender | None:
    gender = NOUNS[(match["noun"] or match["somebody"]).lower()]
    adjectives = (match["adjectives"] or "").lower().split()
    if gender is None and "female" in adjectives:
        return "female"
    return "male" if gender is None and "male" in adjectives else gender


def _has_things(text: str) -> bool:
    """Several things are spoken of. After a person a word in s is a verb."""
    before = [found[1] or "" for found in _PLURAL.finditer(text)]
    return any(not word.endswith(">") and word.lower() not in (*NOUNS, "and", "who") for word in before)


def _words(text: str, count: int) -> list[str]:
    return [w.lower() for w in _ANY_WORD.findall(text)[:count]]


def _singular(verb: str) -> str:
    """``walk`` -> ``walks``; past forms and modals stay."""
    if (singular := _SINGULAR.get(verb.replace("\u2019", "'"))) is not None:
        return singular
    if verb in MODALS or verb in PASTS or verb.endswith("ed") or not verb.isalpha():
        return verb
    if verb.endswith("y") and verb[-2:-1] not in "aeiou":
        return f"{verb[:-1]}ies"
    return verb + ("es" if verb.endswith(("s", "x", "z", "ch", "sh", "o")) else "s")
