"""Attributes: a strict parser, a bounded number of questions, the user's word above all."""

import numpy as np
import pytest

from pvchat.errors import UserError
from pvchat.synthesis.attributes import Attributes, parse_age_group, parse_gender, read_attributes
from pvchat.synthesis.roles import Adapter, Frames

FRAMES = np.zeros((2, 8, 8, 3), np.uint8)


class Scripted:
    """A captioner that says one thing after the other, the last for ever."""

    adapter = Adapter("scripted", "1", "none", True, "0")

    def __init__(self, *answers: str) -> None:
        self.answers, self.questions = list(answers), []

    def caption(self, frames: Frames, question: str) -> str:
        self.questions.append(question)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.mark.parametrize(
    ("answer", "gender"),
    [
        ("male", "male"),
        ("Female.", "female"),
        ("The person is a woman.", "female"),
        ("A young man", "male"),
        ("**Male**", "male"),
        ("male or female", None),
        ("It could be a man and a woman", None),
        ("I cannot tell whether he is male", None),
        ("not male", None),
        ("It isn't a man", None),
        ("I can see a man", "male"),
        ("human", None),
        ("the tamale", None),
        ("", None),
    ],
)
def test_gender_is_one_clear_word(answer: str, gender: str | None) -> None:
    assert parse_gender(answer) == gender


@pytest.mark.parametrize(
    ("answer", "group"),
    [
        ("young", "young"),
        ("Middle-aged.", "middle-aged"),
        ("middle aged", "middle-aged"),
        ("Elderly (over 60)", "elderly"),
        ("Young (under 35)", "young"),
        ("34", "young"),
        ("35", "middle-aged"),
        ("60 years", "middle-aged"),
        ("about 61", "elderly"),
        ("40-50", "middle-aged"),
        ("30-40", None),
        ("young or middle-aged", None),
        ("not young", None),
        ("younger people", None),
        ("in 1985", None),
        ("old", None),
        ("", None),
    ],
)
def test_age_group_is_named_or_in_years(answer: str, group: str | None) -> None:
    assert parse_age_group(answer) == group


def test_attributes_are_asked_until_told() -> None:
    captioner = Scripted("Hard to say", "female", "young or elderly", "no idea", "72")
    assert read_attributes(captioner, FRAMES) == Attributes("female", "elderly")
    assert len(set(captioner.questions)) == 5  # never the same words twice


def test_questions_end() -> None:
    captioner = Scripted("A person.")
    with pytest.raises(
        UserError, match=r"gender must be told by 3 answers at most: got \['A person.', .*--gender"
    ):
        read_attributes(captioner, FRAMES)
    assert len(captioner.questions) == 3
    with pytest.raises(UserError, match=r"Give --age-group"):
        read_attributes(captioner, FRAMES, gender="male")


def test_what_is_given_is_not_asked() -> None:
    captioner = Scripted("never asked")
    assert read_attributes(captioner, FRAMES, gender="male", age_group="young") == Attributes("male", "young")
    assert read_attributes(None, FRAMES, gender="male", age_group="elderly") == Attributes("male", "elderly")
    assert captioner.questions == []
    with pytest.raises(UserError, match=r"nobody can be asked: no captioner. Give --gender"):
        read_attributes(None, FRAMES)
    with pytest.raises(UserError, match=r"age_group must be one of \['young', .* got 'old'"):
        read_attributes(captioner, FRAMES, gender="male", age_group="old")  # type: ignore[arg-type]
