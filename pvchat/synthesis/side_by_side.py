"""Who does what? Clips of different people side by side, so that the truth is known exactly."""

import hashlib
import math
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from pvchat.batch import QuestionType
from pvchat.datamodules.manifest import QA, Record
from pvchat.datamodules.vocabulary import COLOURS
from pvchat.errors import UserError
from pvchat.subjects import mention
from pvchat.synthesis.animation.motion_library import MotionLibrary
from pvchat.synthesis.appearances import frames_of, joined
from pvchat.synthesis.motions import MOTIONS, doing
from pvchat.synthesis.questions.witnesses import with_article
from pvchat.synthesis.writing import FPS, write_video

_DRAWS = 200  # until everybody does something else
Traits = dict[QuestionType, tuple[str, str]]
"""Type of question -> (what tells people apart, how it is said: "nodding", "wearing a red shirt")."""
_WHAT: dict[QuestionType, str] = {"action": "doing", "appearance": "wearing"}


def show_side_by_side(
    records: Sequence[Record], seconds: float, path: Path, *, fps: int = FPS, size_px: int = 224
) -> Record:
    """Write the first ``seconds`` of each clip of ``records``, from left to right, as the video ``path``. Its
    questions are what each person does or wears and who it is that does, where all differ.

    Raises UserError: clips of several splits or persons, or somebody twice."""
    labels = {(r.split, tuple(r.presence)) for r in records}
    shown = [name for r in records for name, there in r.presence.items() if there]
    if len(records) < 2 or len(labels) != 1 or len(set(shown)) != len(shown) or seconds * fps < 1:
        raise UserError(
            "clips side by side need two or more, a frame of each, one split, the same persons labelled and "
            f"nobody twice: got {len(records)} clips, {seconds} s, {sorted(map(str, labels))}, {shown}."
        )
    count = round(seconds * fps)
    write_video(path, np.concatenate([frames_of(r, count, fps, size_px) for r in records], 2), fps=fps)
    presence = {name: name in shown for name in records[0].presence}
    draw = random.Random(path.stem)
    return Record(
        id=path.stem,
        path=path.absolute(),
        start_s=0.0,
        end_s=count / fps,
        presence=presence,
        source_id="+".join(sorted({r.source_id for r in records})),
        clothes="+".join(r.clothes for r in records if r.clothes) or None,
        motion="+".join(r.motion for r in records if r.motion) or None,
        origin="generated" if shown else "negative",
        split=records[0].split,
        licence=joined(r.licence for r in records),
        consent=joined(r.consent for r in records),
        qa=tuple(ask_who([(_shown(r), traits(r)) for r in records], draw)),
    )


def traits(record: Record) -> Traits:
    """What is known of the one person of a clip."""
    known: Traits = {}
    if record.motion:
        known["action"] = record.motion, _doing(record.motion)
    words = record.clothes.casefold().replace("-", " ").split() if record.clothes else []
    colours = [colour for colour, names in COLOURS.items() if set(names) & set(words)]
    if record.clothes and len(colours) == 1:
        known["appearance"] = colours[0], f"wearing {with_article(record.clothes)}"
    return known


def ask_who(people: Sequence[tuple[str | None, Traits]], draw: random.Random) -> list[QA]:
    """Questions about ``people`` on screen, who may be strangers (None), on each trait in which all differ:
    "What is <tom> doing?" of each; where two or more have a name also "Who is nodding?" and "Who is nodding,
    <tom> or <ann>?", each of a person drawn."""
    asked: list[QA] = []
    for kind in _differing([known for _, known in people]):
        said = {name: known[kind][1] for name, known in people if name is not None}
        for name, phrase in said.items():
            question = f"What is {mention(name)} {_WHAT[kind]}?"
            asked.append(QA(question, f"{mention(name)} is {phrase}.", kind, None, (name,)))
        if len(said) > 1:
            name = draw.choice(sorted(said))
            asked.append(QA(f"Who is {said[name]}?", f"{mention(name)} is {said[name]}.", "who"))
            pair = draw.sample(sorted(said), 2)
            question = f"Who is {said[pair[0]]}, {' or '.join(mention(n) for n in draw.sample(pair, 2))}?"
            asked.append(QA(question, f"{mention(pair[0])} is {said[pair[0]]}.", "who", None, tuple(pair)))
    return asked


def compose_side_by_side(
    records: Sequence[Record],
    folder: Path,
    *,
    count: int,
    num_people: int = 2,
    seconds: float = 2.0,
    seed: int = 0,
    fps: int = FPS,
    size_px: int = 224,
) -> list[Record]:
    """``count`` videos of ``num_people`` people drawn from ``records``, of one split, each with another
    motion, or colour of clothes. Some are of strangers alone where there are enough: so many that each person
    with a name is there in half of the videos. Same arguments, same videos; splits are drawn apart. Raises
    UserError where there are not so many people, or they do all the same."""
    known = [r for r in records if traits(r) and sum(r.presence.values()) <= 1]
    people = {name: [r for r in known if r.presence[name]] for name in records[0].presence}
    people = {name: clips for name, clips in people.items() if clips}
    strangers = [r for r in known if _shown(r) is None]
    apart = _share_of_strangers(len(people), len({r.source_id for r in strangers}), num_people)
    made = []
    for number in range(count):
        draw = random.Random(f"{seed} {records[0].split} {num_people} {number}")
        alone = math.floor((number + 1) * apart) > math.floor(number * apart)
        parts = _draw_cast(people, strangers, num_people, draw, alone=alone)
        name = hashlib.sha256(f"{seed} {number} {[p.id for p in parts]}".encode()).hexdigest()[:12]
        path = folder / f"who-{num_people}-{name}.mp4"
        made.append(show_side_by_side(parts, seconds, path, fps=fps, size_px=size_px))
    return made


def _share_of_strangers(people: int, strangers: int, count: int) -> float:
    """Of videos with nobody who has a name, so that being there is as frequent as not: else the sight of
    ``count`` people would be answer enough."""
    if not people or strangers < count:
        return 0.0
    there = (1 + min(count, people)) / 2 / people  # of a person, in the other videos
    return max(0.0, 1 - 0.5 / there)


def _draw_cast(
    people: Mapping[str, Sequence[Record]],
    strangers: Sequence[Record],
    count: int,
    draw: random.Random,
    *,
    alone: bool,
) -> list[Record]:
    """Clips of ``count`` people who all differ in something, in the order in which they stand. Strangers
    ``alone`` need not differ where they cannot: nothing is asked of them."""
    fewest, most = max(1, count - len({r.source_id for r in strangers})), min(count, len(people))
    if alone:
        fewest = most = 0
    spare: list[Record] = []
    for _ in range(_DRAWS if fewest <= most else 0):
        named = draw.sample(list(people), draw.randint(fewest, most))
        parts = [draw.choice(people[name]) for name in named]
        parts += draw.sample(strangers, count - len(parts))
        if len({r.source_id for r in parts}) < count:
            continue
        draw.shuffle(parts)
        if _differing([traits(r) for r in parts]):
            return parts
        spare = parts
    if spare and alone:
        return spare
    raise UserError(
        f"{count} people side by side need a motion each, or a colour of clothes, that the others do not "
        f"have: got {len(people)} subjects and {len(strangers)} clips of others of whom these are known, of "
        "one split. Show fewer people, or add clips."
    )


def _differing(known: Sequence[Traits]) -> list[QuestionType]:
    """Traits that all have, each another one."""
    return [
        kind
        for kind in _WHAT
        if all(kind in one for one in known) and len({one[kind][0] for one in known}) == len(known)
    ]


def _shown(record: Record) -> str | None:
    return next((name for name, there in record.presence.items() if there), None)


def _doing(motion: str) -> str:
    library = MotionLibrary().motions
    return doing(motion) if motion in MOTIONS else library[motion].doing if motion in library else motion
