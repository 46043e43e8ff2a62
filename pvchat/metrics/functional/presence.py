"""Who does an answer say is there? A strict reading: what is not plainly said is None, never guessed.

1. Persons are read as ``<tom>`` or plain ``Tom`` (not where the plain name is a word of the grammar: "Will").
2. The answer is cut into clauses. A clause counts where the closed grammar of ``presence_grammar`` matches
   all of it: as a claim ("the video shows <tom>") or as a denial ("there is no sign of <tom>"). "both .. not"
   and "neither .. nor" deny all; "<tom> or <ann> is here" and "not both" say nothing.
3. "Only <tom>" and "no one but <tom>" also deny everybody else who was asked about.
4. An opening yes or no speaks for all who were asked about if the answer names nobody. A yes also confirms
   what the grammar does not know ("Yes, <tom> is dancing"). If it opposes all that is said, nothing is.
5. None for a person of whom opposite things are said, or whose presence is doubted, denied twice or denied
   in part ("<tom> may be here", "I can't say <tom> isn't here", "<tom> is not here at first"), or of whom
   another time is told ("<tom> was here yesterday").
6. None for all: empty text, questions, mark-up, talk about the task ("ignore the instructions"), other
   languages.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from pvchat.errors import UserError
from pvchat.metrics.functional import presence_grammar as grammar
from pvchat.metrics.functional.presence_clauses import (
    ALL,
    REST,
    SINGLE,
    THEY,
    Clauses,
    repeated_head,
    split_answer,
)

_CLAIMS = [re.compile(pattern) for pattern in grammar.CLAIMS]
_DENIALS = [re.compile(pattern) for pattern in grammar.DENIALS]
_ECHOES = [re.compile(pattern) for pattern in grammar.ECHOES]
_AGREEMENTS = [re.compile(pattern) for pattern in grammar.AGREEMENTS]
_REPLY = re.compile(grammar.REPLIES)
_PREAMBLE = re.compile("|".join(f"(?:{pattern})" for pattern in grammar.PREAMBLES))


class PresenceCounts(NamedTuple):
    """(answer, person) pairs, as long tensors of [person absent, person present]."""

    right: Tensor
    total: Tensor
    unparsed: Tensor


def parse_presence(answer: str, names: Sequence[str]) -> dict[str, bool | None]:
    """Whether ``answer`` says that each of ``names``, the persons asked about, is there; None where unparsed.

    Pass all persons of the question: a bare yes or no, "both" and "neither" speak of all of them."""
    if not names or len({name.casefold() for name in names}) != len(names):
        raise UserError(f"names must be the different persons asked about, at least one: got {list(names)}.")
    clauses = split_answer(answer, names)
    if clauses is None:
        return dict.fromkeys(names)
    reader = _Reader(clauses, tuple(names))
    for clause in clauses.clauses:
        reader.read(clause)
    return reader.conclude()


def presence_counts(
    preds: Sequence[str],
    target: Sequence[bool | Mapping[str, bool]],
    names: Sequence[Sequence[str]],
) -> PresenceCounts:
    """Right, all and unparsed (answer, person) pairs; an unparsed pair is a wrong one.

    ``target`` holds per answer who is there: person -> bool, or one bool for everybody in its ``names``, the
    persons asked about."""
    if isinstance(preds, str) or not len(preds) == len(target) == len(names):
        raise UserError(
            "each answer needs its target and the names asked about, as lists: "
            f"got {len(preds)} preds, {len(target)} target, {len(names)} names."
        )
    counts = PresenceCounts(*(torch.zeros(2, dtype=torch.long) for _ in range(3)))
    for answer, truth, asked in zip(preds, target, names, strict=True):
        if isinstance(asked, str):
            raise UserError(f"names must be a list per answer: got the string {asked!r}. Write [{asked!r}].")
        for name, said in parse_presence(answer, asked).items():
            if isinstance(truth, Mapping) and name not in truth:
                raise UserError(f"target must say who is there: {name!r} is asked about, got {dict(truth)}.")
            side = int(truth[name] if isinstance(truth, Mapping) else truth)
            counts.total[side] += 1
            counts.right[side] += said is bool(side)
            counts.unparsed[side] += said is None
    return counts


@dataclass
class _Reader:
    """What the clauses read so far say of each person."""

    answer: Clauses
    names: tuple[str, ...]
    said: dict[str, set[bool]] = field(default_factory=dict)
    doubted: set[str] = field(default_factory=set)
    likened: set[str] = field(default_factory=set)  # somebody looks like them
    described: set[str] = field(default_factory=set)  # in clauses that say neither "here" nor "not here"
    last: frozenset[str] = frozenset()  # whom "they" are
    before: bool | None = None  # what an echo repeats
    head_stands: bool = True
    partial: bool = False  # only a part of the clip is spoken of

    def __post_init__(self) -> None:
        self.before = self.answer.head
        self.head_stands = self.answer.english  # a "no" opens answers in other languages too

    def read(self, clause: str) -> None:
        again = repeated_head(clause)
        if again is not None:
            if again is not self.answer.head and not any(again in values for values in self.said.values()):
                self.doubted.update(self.names)
            return
        if grammar.DOUBT.search(clause):
            self.doubted.update(self._persons(clause) or self.names)
            return
        while not self._understand(clause):
            preamble = _PREAMBLE.match(clause)
            if not preamble:
                self._note(clause)
                return
            clause = clause[preamble.end() :]

    def conclude(self) -> dict[str, bool | None]:
        head = self.answer.head
        values = {name: self.said.get(name, set()) for name in self.names}
        if head is not None and any(values.values()) and not any(head in v for v in values.values()):
            return dict.fromkeys(self.names)
        result: dict[str, bool | None] = {}
        for name, found in values.items():
            result[name] = next(iter(found)) if len(found) == 1 else None
            if head is not None and not found and self.head_stands:
                spoken_for = not self.answer.named and not self.answer.stranger and not self.described
                if spoken_for or (head and name in self.described):
                    result[name] = head
            if name in self.likened and found != {False}:
                result[name] = None
            if name in self.doubted or (self.partial and result[name] is False):
                result[name] = None
        return result

    def _understand(self, clause: str) -> bool:
        """Take in a clause that the grammar matches."""
        for pattern in _DENIALS:
            if match := pattern.fullmatch(clause):
                self._say(match, False)
                return True
        for pattern in _CLAIMS:
            match = pattern.fullmatch(clause)
            if match and not _casts_doubt(match.groupdict().get("tail") or ""):
                self._say(match, True)
                return True
        for pattern in _AGREEMENTS:
            if self.before is False and (match := pattern.fullmatch(clause)):
                self._say(match, False)
                return True
        for pattern in _ECHOES:
            if self.before is not None and (match := pattern.fullmatch(clause)):
                parts = match.groupdict()
                self._say(match, self.before if parts.keys().isdisjoint({"yes", "no"}) else "yes" in parts)
                return True
        reply = _REPLY.fullmatch(clause)
        if reply and self.answer.head is not None:
            self.head_stands &= (reply["no"] is None) is self.answer.head
            return True
        return False

    def _say(self, match: re.Match[str], value: bool) -> None:
        parts = match.groupdict()
        meant = self._meant(parts["g"] or parts["h"])
        if meant is None:
            self.doubted.update(self.names)
            return
        for name in meant:
            self.said.setdefault(name, set()).add(value)
        if parts.get("only") or parts.get("rest"):
            for name in set(self.names) - meant:
                self.said.setdefault(name, set()).add(not value)
        # "<tom> is absent, <ann> is not": not what? Only a spelled-out "not" can be echoed.
        spelled_out = value or re.search(r"\b(?:not|nor|neither|no|NONE|nothing|zero)\b", match[0])
        self.last, self.before = meant, value if spelled_out else None

    def _note(self, clause: str) -> None:
        """A clause that is not understood: does it cast doubt on anybody?"""
        persons = self._persons(clause)
        if grammar.LIKENESS.fullmatch(clause):
            self.likened |= persons
            return
        doubtful = _casts_doubt(clause)
        # "<tom> is here. <tom> is not smiling." takes nothing back; "<tom> is not clearly visible" does.
        if persons and doubtful and grammar.PRESENCE.search(clause):
            self.doubted |= persons
        elif persons and not doubtful:
            self.described |= persons
        elif doubtful:
            self.head_stands = False
        self.partial |= not persons and bool(grammar.PARTIAL.search(clause))
        self.last = frozenset(persons) or self.last

    def _persons(self, clause: str) -> set[str]:
        """Everybody a clause speaks of."""
        groups = (self._meant(character) for character in re.findall(grammar.G, clause))
        return {name for group in groups for name in (self.names if group is None else group)}

    def _meant(self, character: str) -> frozenset[str] | None:
        """Names behind a group or pronoun; None where "he" could be several."""
        everybody = frozenset(self.names)
        if character == ALL:
            return everybody
        if character == REST:
            return everybody - self.answer.named if self.answer.named else None
        if character == THEY:
            return self.last or everybody
        if character == SINGLE:
            candidates = self.last or everybody
            return candidates if len(candidates) == 1 else None
        return self.answer.groups[character]


def _casts_doubt(text: str) -> bool:
    return bool(grammar.NEGATION.search(text) or grammar.HEDGE.search(text))
