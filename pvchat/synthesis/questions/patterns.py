"""Questions about several subjects at once, answered for every pattern of who is there (paper, tables 4, 5).

A small grammar instead of a table for each number of people: with N there are 2^N patterns. ``"any"`` asks
for <a> or <b>, ``"all"`` for both; what is true of some only is a yes to the first and a no to the second."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from pvchat.batch import Polarity
from pvchat.datamodules.manifest import QA
from pvchat.subjects import mention
from pvchat.synthesis.questions.witnesses import capitalised

Wording = Literal["any", "all"]
WORDINGS: tuple[Wording, ...] = ("any", "all")

# {g} "<a> or <b>" with {is_} "is", or "both <a> and <b>" with "are".
GROUP_QUESTIONS: tuple[str, ...] = (
    "{is_} {g} in this video?",
    "{is_} {g} present in this clip?",
    "{is_} {g} visible in this recording?",
    "{is_} {g} anywhere to be seen?",
    "{is_} {g} part of this scene?",
    "{is_} {g} among the people in this video?",
    "{does} {g} appear in this footage?",
    "{does} {g} turn up in this video?",
    "{has} {g} been recorded here?",
    "Can you see {g} here?",
    "Can you find {g} in this clip?",
    "Can you spot {g} in this recording?",
    "Can you tell me if {g} {is_} shown here?",
    "Can you confirm that {g} {is_} present?",
    "Could you check whether {g} {is_} here?",
    "Would you say that {g} {is_} in this recording?",
    "Can {g} be spotted in this footage?",
    "Do you recognise {g} in this video?",
    "Do you see {g} in this footage?",
    "Can {g} be found anywhere in this clip?",
    "Does this video show {g}?",
    "Does this clip feature {g}?",
    "Does the camera catch {g}?",
    "Have you noticed {g} in this clip?",
    "Is it right that {g} {is_} in this footage?",
)

# {every} "both <a> and <b>", {each} "<a> and <b>", {all_} "both"; of three and more "all of ..", "all".
EVERYBODY: tuple[str, ...] = (
    "{every} are in this video.",
    "{every} are here.",
    "{every} appear in this clip.",
    "{every} can be seen here.",
    "{each} are {all_} present.",
    "{each} are {all_} visible in this recording.",
    "I can see {every}.",
    "I have spotted {every} in this footage.",
    "I recognise {every} in this video.",
    "I can confirm that {every} are present.",
    "This video shows {every}.",
    "The clip features {every}.",
    "The footage contains {every}.",
)
# {none} "neither <a> nor <b>" or "none of <a>, <b> and <c>", {any_} "<a> or <b>".
NOBODY: tuple[str, ...] = (
    "{none} is in this video.",
    "{none} is here.",
    "{none} appears in this clip.",
    "{none} can be seen here.",
    "{each} are {all_} absent.",
    "{each} are not visible in this recording.",
    "I cannot see {any_}.",
    "I have not spotted {any_} in this footage.",
    "I do not recognise {any_} in this video.",
    "I can confirm that {none} is present.",
    "This video does not show {any_}.",
    "The clip features {none}.",
    "The footage contains no sign of {any_}.",
)
# Of those who are there {here}, {is_}, and those who are not {gone}, {gone_any}, {is_not}.
SOME: tuple[str, ...] = (
    "{here} {is_} in this video, but {gone} {is_not}.",
    "{here} {is_} here, but {gone} {is_not}.",
    "{here} {appears} in this clip, while {gone} {does_not}.",
    "{here} can be seen here, but {gone} cannot be seen.",
    "{here} {is_} present, and {gone} {is_} absent.",
    "only {here} {is_} visible in this recording.",
    "I can see {here}, but there is no sign of {gone_any}.",
    "I have spotted {here} in this footage, but not {gone_any}.",
    "I recognise {here} in this video, but I do not recognise {gone_any}.",
    "I can confirm that {here} {is_} present, but {gone} {is_not}.",
    "This video shows {here}, but it does not show {gone_any}.",
    "The clip features {here}, but not {gone_any}.",
    "The footage contains {here}, but no sign of {gone_any}.",
)


def group_question(names: Sequence[str], wording: Wording, number: int) -> str:
    """Question ``number`` of the bank about two and more subjects."""
    one = wording == "any"
    return capitalised(
        GROUP_QUESTIONS[number].format(
            g=listed(names, "or") if one else _every(names),
            is_="is" if one else "are",
            does="does" if one else "do",
            has="has" if one else "have",
        )
    )


def group_answers(presence: Mapping[str, bool], wording: Wording) -> list[str]:
    """Every answer to a question about the subjects in ``presence``: each without and with a yes or no."""
    here, gone = (tuple(n for n, there in presence.items() if there is side) for side in (True, False))
    names = tuple(presence)
    templates = SOME if here and gone else EVERYBODY if here else NOBODY
    words = {
        "every": _every(names),
        "each": listed(names, "and"),
        "all_": "both" if len(names) == 2 else "all",
        "none": f"neither {listed(names, 'nor')}" if len(names) == 2 else f"none of {listed(names, 'and')}",
        "any_": listed(names, "or"),
        "here": listed(here, "and"),
        "gone": listed(gone, "and"),
        "gone_any": listed(gone, "or"),
    }
    yes = capitalised(polarity(presence, wording))
    plain = [_agree(t, len(here), len(gone)).format(**words) for t in templates]
    return [capitalised(a) for a in plain] + [f"{yes}, {_lowered(a)}" for a in plain]


def group_qa(presence: Mapping[str, bool], wording: Wording, number: int, rng: np.random.Generator) -> QA:
    """Question ``number`` of the bank about the subjects in ``presence``, with one of its answers."""
    answers = group_answers(presence, wording)
    return QA(
        group_question(tuple(presence), wording, number),
        answers[rng.integers(len(answers))],
        "existence",
        polarity(presence, wording),
        tuple(presence),
    )


def polarity(presence: Mapping[str, bool], wording: Wording) -> Polarity:
    """The truth of a question about all subjects in ``presence``."""
    return "yes" if (any if wording == "any" else all)(presence.values()) else "no"


def listed(names: Sequence[str], word: str) -> str:
    """``"<a>, <b> or <c>"``."""
    spelled = [mention(name) for name in names]
    return f" {word} ".join([", ".join(spelled[:-1]), spelled[-1]] if len(spelled) > 1 else spelled)


def _every(names: Sequence[str]) -> str:
    return f"{'both' if len(names) == 2 else 'all of'} {listed(names, 'and')}"


def _agree(template: str, here: int, gone: int) -> str:
    """The verbs of a template of ``SOME`` in the number of their subjects."""
    head, separator, tail = template.partition("{gone}")
    head = head.replace("{is_}", "is" if here == 1 else "are")
    head = head.replace("{appears}", "appears" if here == 1 else "appear")
    for verb, one, many in (
        ("is_", "is", "are"),
        ("is_not", "is not", "are not"),
        ("does_not", "does not", "do not"),
    ):
        tail = tail.replace(f"{{{verb}}}", one if gone == 1 else many)
    return head + separator + tail


def _lowered(sentence: str) -> str:
    """As it goes on after "Yes, "."""
    return sentence if sentence.startswith("I ") else sentence[0].lower() + sentence[1:]
