"""Fills a manifest with questions, for any number of subjects: how many as in the paper by default.

What a question says must not tell its answer. Of one subject that is so because the words are drawn without
a look at the clip; of a group a yes to "<a> or <b>" is likelier than to "both", so each such wording is asked
of as many clips where the answer is yes as of those where it is no."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import comb
from zlib import crc32

import numpy as np

from pvchat.datamodules.manifest import QA, Record
from pvchat.errors import UserError
from pvchat.synthesis.questions.bank import VARIED, Bank
from pvchat.synthesis.questions.clip_questions import existence_qa, general_qa, open_qa, some
from pvchat.synthesis.questions.patterns import GROUP_QUESTIONS, WORDINGS, Wording, group_qa, polarity
from pvchat.synthesis.questions.witnesses import Witness

_MOST_GROUPS = 16  # of one size; of many subjects there are too many to list
Group = tuple[tuple[str, ...], Wording]


@dataclass(frozen=True)
class QuestionPlan:
    """Questions of a clip. ``existence``: of all subjects together, up to the share ``grouped`` of them about
    groups; ``about``: on appearance, action and location, each, of a subject who is known; ``refused``: the
    same of one who is absent; ``general``: that name nobody. The default is the paper's, without refusals."""

    existence: int = 15
    about: int = 5
    refused: int = 0
    general: int = 0
    grouped: float = 0.5
    bank: Bank = VARIED

    def __post_init__(self) -> None:
        counts = (self.existence, self.about, self.refused, self.general)
        if min(counts) < 0 or not 0 <= self.grouped <= 1:
            raise UserError(
                f"a plan of questions needs counts >= 0 and grouped in 0..1: got {counts}, {self.grouped}."
            )


def fill_questions(
    records: Sequence[Record],
    witnesses: Mapping[str, Mapping[str | None, Witness]],
    *,
    seed: int,
    plan: QuestionPlan | None = None,
) -> list[Record]:
    """``records`` with their questions. ``witnesses``: clip id -> who is on screen -> what is known of them;
    None is a stranger. Clips that are not listed are asked about existence alone. Same seed, same questions.
    Raises UserError for a witness of nobody who is there."""
    plan = plan or QuestionPlan()
    _check(records, witnesses)
    filled: dict[str, Record] = {}
    for split in dict.fromkeys(r.split for r in records):
        part = [r for r in records if r.split == split]
        groups = _pair_off(
            part, round(plan.existence * plan.grouped), np.random.default_rng([seed, len(part)])
        )
        for record in part:
            rng = np.random.default_rng([seed, crc32(record.id.encode())])
            qa = _ask(record, groups[record.id], witnesses.get(record.id, {}), plan, rng)
            filled[record.id] = replace(record, qa=tuple(qa))
    return [filled[record.id] for record in records]


def _ask(
    record: Record,
    groups: Sequence[Group],
    witnesses: Mapping[str | None, Witness],
    plan: QuestionPlan,
    rng: np.random.Generator,
) -> Iterator[QA]:
    numbers = some(rng, len(GROUP_QUESTIONS), len(groups))
    for number, (group, wording) in zip(numbers, groups, strict=True):
        yield group_qa({name: record.presence[name] for name in group}, wording, number, rng)
    names = list(record.presence)
    turns = [names[i] for i in some(rng, len(names), plan.existence - len(groups))]
    for name, present in record.presence.items():
        yield from existence_qa(name, present, rng, turns.count(name), bank=plan.bank)
        if name in witnesses:
            yield from open_qa(name, witnesses[name], rng, plan.about, bank=plan.bank)
        elif not present:
            yield from open_qa(name, None, rng, plan.refused, bank=plan.bank)
    if len(witnesses) == 1:
        yield from general_qa(next(iter(witnesses.values())), rng, plan.general)


def _pair_off(records: Sequence[Record], room: int, rng: np.random.Generator) -> dict[str, list[Group]]:
    """Groups to ask about, at most ``room`` a clip: each, in each wording, with as many yes as no."""
    asked: dict[str, list[Group]] = {record.id: [] for record in records}
    waiting: dict[Group, tuple[deque[str], deque[str]]] = {
        (names, wording): (deque(), deque())
        for names in _groups(tuple(records[0].presence), rng)
        for wording in WORDINGS
    }
    for i in rng.permutation(len(records)):
        for (names, wording), no_yes in waiting.items():
            truth = polarity({name: records[i].presence[name] for name in names}, wording)
            no_yes[truth == "yes"].append(records[i].id)
    while waiting:
        for group, (no, yes) in list(waiting.items()):
            first = _next(no, asked, group, room)
            second = first and _next(yes, asked, group, room)
            if first and not second:
                asked[first].pop()  # alone it would tell its answer
            if not second:
                del waiting[group]
    return asked


def _next(clips: deque[str], asked: Mapping[str, list[Group]], group: Group, room: int) -> str | None:
    """Ask about ``group`` in the next clip that has room, and say which; it queues again: all have a turn."""
    while clips:
        clip = clips.popleft()
        if len(asked[clip]) < room:
            clips.append(clip)
            asked[clip].append(group)
            return clip
    return None


def _groups(names: tuple[str, ...], rng: np.random.Generator) -> Iterator[tuple[str, ...]]:
    """Groups of two and more of ``names``: all, or some of each size where there are many."""
    for size in range(2, len(names) + 1):
        if comb(len(names), size) <= _MOST_GROUPS:
            yield from combinations(names, size)
        else:
            for _ in range(_MOST_GROUPS):
                yield tuple(names[i] for i in sorted(rng.permutation(len(names))[:size]))


def _check(records: Sequence[Record], witnesses: Mapping[str, Mapping[str | None, Witness]]) -> None:
    presence = {record.id: record.presence for record in records}
    for clip, known in witnesses.items():
        for name in known:
            if clip not in presence or (name is not None and not presence[clip].get(name)):
                raise UserError(
                    f"a witness must speak of somebody who is in the clip: {clip!r} does not show {name!r}. "
                    "Correct the presence or leave the witness out."
                )
