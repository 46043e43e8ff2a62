"""Rubrics of a judge: ES and DC, on 1-5 as in the paper and on 0-5 as in R1, where a wrong entity is 0.

The paper says what they assess (S2), not how its judge was asked: the wording is this project's own, and
scores compare only where rubric and judge are the same.
"""

from dataclasses import dataclass, make_dataclass
from typing import Annotated


@dataclass(frozen=True)
class Verdict:
    """What a judge fills in, the reason first: a score given before it would not rest on it."""

    reason: str
    score: int


@dataclass(frozen=True)
class Rubric:
    """``instruction`` tells the judge what the scores from ``lowest`` to ``highest`` mean."""

    name: str
    instruction: str
    lowest: int
    highest: int

    @property
    def form(self) -> type[Verdict]:
        """A ``Verdict`` whose score is a whole number on the scale; ``true`` and ``4.0`` are none."""
        from pydantic import Field

        score = Annotated[int, Field(ge=self.lowest, le=self.highest)]
        return make_dataclass("Verdict", [("score", score)], bases=(Verdict,), frozen=True)


_SPECIFICITY = """\
Criterion: entity specificity. Is the answer about the very person asked about, as this video shows them, or \
could it be said of anybody? Style and length do not count.
5: clearly the right person, with particulars of this person in this video that agree with the reference
4: the right person, with particulars, some of them vague
3: the right person, but what is said would fit many people
2: barely tied to the person: "someone", "the individual", general remarks
{low}
Where the person asked about is not in the video, plainly saying so of this person is 5. Where nobody is \
asked about, take what is asked about for the person."""

_COMPLETENESS = """\
Criterion: descriptive completeness. Is the answer coherent, correct and as full as the question calls for? \
What neither follows from the reference nor contradicts it counts neither way.
5: says correctly all that the reference says, in a well-formed answer with its supporting details
4: correct and coherent, one lesser point of the reference is missing
3: the main point is right; several details are missing, or a lesser one is wrong
2: a fragment, or the main point is only half right
{low}
Where the person asked about is not in the video, plainly saying so is complete."""

_WRONG_PERSON = (
    "takes somebody else for the person asked about, says that an absent person is in the video or that one "
    "who is there is not"
)
_WORST = {
    ("es", 1): f"1: generic, evasive or beside the question; or {_WRONG_PERSON}",
    ("es", 0): f"1: generic, evasive or beside the question\n0: {_WRONG_PERSON}",
    ("dc", 1): f"1: wrong, incoherent or beside the question; or {_WRONG_PERSON}",
    ("dc", 0): f"1: wrong, incoherent or beside the question\n0: {_WRONG_PERSON}",
}


def _rubric(kind: str, lowest: int) -> Rubric:
    text = {"es": _SPECIFICITY, "dc": _COMPLETENESS}[kind]
    return Rubric(f"{kind}_{lowest}to5", text.format(low=_WORST[kind, lowest]), lowest, 5)


RUBRICS = {rubric.name: rubric for rubric in (_rubric(*key) for key in _WORST)}
"""``es_1to5``, ``es_0to5``, ``dc_1to5``, ``dc_0to5``."""
