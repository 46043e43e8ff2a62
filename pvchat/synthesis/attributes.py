"""Gender and age group of a person, asked of a captioner: the paper's prompts depend on both."""

import re
from dataclasses import dataclass
from typing import Literal, cast, get_args

from pvchat.errors import UserError
from pvchat.synthesis.person_words import Gender
from pvchat.synthesis.roles import Frames, VideoCaptioner

AgeGroup = Literal["young", "middle-aged", "elderly"]
_GENDER_WORDS = {"male": "male", "man": "male", "boy": "male", "female": "female", "woman": "female"}
_GENDER_WORDS |= {"girl": "female", "gentleman": "male", "lady": "female"}
_DOUBT = re.compile(r"\b(?:not|cannot|neither|or|unclear|unsure|unknown)\b|n['\u2019]t\b", re.IGNORECASE)
# each is asked once: a model that answers the same to the same words needs other ones
_GENDER_QUESTIONS = (
    "Is the main person in this clip male or female? Answer with one word: male or female.",
    "Which word fits the person on screen best, male or female? Give only that word.",
    "Complete with male or female, in one word. The person in this clip is:",
)
_AGE_QUESTIONS = (
    "How old does the main person in this clip look? Answer with one of: young, middle-aged, elderly. "
    "Young is under 35, middle-aged is 35 to 60, elderly is over 60.",
    "Which fits the person on screen best: young (under 35), middle-aged (35 to 60) or elderly (over 60)? "
    "Give only that.",
    "Estimate the age of the person in this clip in years. Give only one number.",
)


@dataclass(frozen=True)
class Attributes:
    """``age_group``: young is under 35, middle-aged 35 to 60, elderly over 60 years."""

    gender: Gender
    age_group: AgeGroup


def read_attributes(
    captioner: VideoCaptioner | None,
    frames: Frames,
    *,
    gender: Gender | None = None,
    age_group: AgeGroup | None = None,
) -> Attributes:
    """Attributes of the person in ``frames`` (T, H, W, 3); what is given is not asked. Each is asked three
    times at most, in other words. Raises UserError when that does not tell."""
    for name, value, known in (("gender", gender, Gender), ("age_group", age_group, AgeGroup)):
        if value is not None and value not in get_args(known):
            raise UserError(f"{name} must be one of {list(get_args(known))}: got {value!r}.")
    return Attributes(
        gender or cast(Gender, _ask("gender", captioner, frames)),
        age_group or cast(AgeGroup, _ask("age_group", captioner, frames)),
    )


def parse_gender(answer: str) -> Gender | None:
    """The one gender that ``answer`` names; None for neither or both, and where it is denied."""
    words = re.findall(r"[a-z]+", answer.lower())
    found = {_GENDER_WORDS[word] for word in words if word in _GENDER_WORDS}
    return cast(Gender, found.pop()) if len(found) == 1 and not _DOUBT.search(answer) else None


def parse_age_group(answer: str) -> AgeGroup | None:
    """The one group that ``answer`` names, or that all of its numbers (years) lie in; else None."""
    text = re.sub(r"\([^)]*\)", " ", answer.lower())  # "young (under 35)" repeats the question
    text = text.replace("middle aged", "middle-aged")
    if _DOUBT.search(text):
        return None
    named = {group for group in get_args(AgeGroup) if re.search(rf"\b{group}\b", text)}
    if not named:
        ages = [int(number) for number in re.findall(r"(?<![\d.])\d{1,3}(?![\d.]\d|\d)", text)]
        named = {_group(age) for age in ages if age <= 120}
    return cast(AgeGroup, named.pop()) if len(named) == 1 else None


def _group(age: int) -> AgeGroup:
    return "young" if age < 35 else "middle-aged" if age <= 60 else "elderly"


def _ask(name: str, captioner: VideoCaptioner | None, frames: Frames) -> str:
    flag = name.replace("_", "-")
    if captioner is None:
        raise UserError(f"{name} is needed and nobody can be asked: no captioner. Give --{flag}.")
    parse, questions = {
        "gender": (parse_gender, _GENDER_QUESTIONS),
        "age_group": (parse_age_group, _AGE_QUESTIONS),
    }[name]
    answers = []
    for question in questions:
        answers.append(captioner.caption(frames, question))
        if (value := parse(answers[-1])) is not None:
            return value
    said = [answer[:80] for answer in answers]
    raise UserError(f"{name} must be told by {len(said)} answers at most: got {said}. Give --{flag}.")
