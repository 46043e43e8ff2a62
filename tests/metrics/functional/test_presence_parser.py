"""The strict presence parser: all the ways to say yes, no, and neither."""

import time

import pytest

from benchmarks.presence_answers import (
    CONTRADICTORY,
    DOUBTFUL,
    INJECTIONS,
    MODEL_NO,
    MODEL_UNPARSED,
    MODEL_YES,
    NO,
    OTHER_LANGUAGES,
    SOMETHING_ELSE,
    TWO,
    YES,
    lines,
)
from pvchat.errors import UserError
from pvchat.metrics.functional.presence import parse_presence


@pytest.mark.parametrize("answer", [*lines(YES), *MODEL_YES.splitlines()])
def test_yes(answer: str) -> None:
    assert parse_presence(answer, ["tom"]) == {"tom": True}


@pytest.mark.parametrize("answer", [*lines(NO), *MODEL_NO.splitlines()])
def test_no(answer: str) -> None:
    assert parse_presence(answer, ["tom"]) == {"tom": False}


@pytest.mark.parametrize(
    "answer",
    [
        *(
            a
            for b in (DOUBTFUL, CONTRADICTORY, SOMETHING_ELSE, OTHER_LANGUAGES, INJECTIONS)
            for a in lines(b)
        ),
        *MODEL_UNPARSED.splitlines(),
    ],
)
def test_unparsed(answer: str) -> None:
    assert parse_presence(answer, ["tom"]) == {"tom": None}


@pytest.mark.parametrize(("answers", "tom", "ann"), TWO)
def test_two_persons(answers: str, tom: bool | None, ann: bool | None) -> None:
    for answer in answers.split("|"):
        assert parse_presence(answer, ["tom", "ann"]) == {"tom": tom, "ann": ann}, answer


@pytest.mark.parametrize("name", ["Will", "May", "Hope"])
def test_names_that_are_words_need_their_brackets(name: str) -> None:
    assert parse_presence(f"<{name}> is here.", [name]) == {name: True}
    assert parse_presence(f"<{name}> will not appear.", [name]) == {name: False}
    assert parse_presence(f"{name} be here.", [name]) == {name: None}


def test_order_of_names_is_kept_and_one_name_is_no_part_of_another() -> None:
    assert list(parse_presence("Yes.", ["bo", "ann", "tom"])) == ["bo", "ann", "tom"]
    assert parse_presence("Anna Maria is here, Anna is not.", ["Anna", "Anna Maria"]) == {
        "Anna": False,
        "Anna Maria": True,
    }


@pytest.mark.parametrize(
    "answer", ["{} is here.", "Yes, {} is here.", "The video shows {}.", "<{}> is here."]
)
@pytest.mark.parametrize("name", ["Weiß", "İpek", "Zoë", "O'Brien", "mary ann"])
def test_plain_names_are_read_however_they_are_spelled(name: str, answer: str) -> None:
    assert parse_presence(answer.format(name), [name]) == {name: True}
    assert parse_presence(f"{name} is not here.", [name]) == {name: False}
    assert parse_presence("The\nvideo  shows " + name.replace(" ", "  "), [name]) == {name: True}


@pytest.mark.parametrize("stranger", ["BOB", "McDonald", "Élodie", "Łukasz", "Jean-Luc", "O'Neil"])
def test_yes_to_a_stranger_is_no_yes_to_tom(stranger: str) -> None:
    assert parse_presence(f"Yes, {stranger} is here.", ["tom"]) == {"tom": None}
    assert parse_presence(f"Yes, I see {stranger}.", ["tom"]) == {"tom": None}


@pytest.mark.parametrize("answer", ["YES, THE PERSON IS HERE.", "Yes, beside the TV."])
def test_capitals_that_are_no_names(answer: str) -> None:
    assert parse_presence(answer, ["tom"]) == {"tom": True}


@pytest.mark.parametrize(
    "answer",
    [
        "<tom> and <ann> are not in the video together.",
        "<tom> and <ann> do not appear together.",
        "<tom> and <ann> are never seen together.",
        "<tom> and <ann> are not here yet.",
        "No, I mean yes.",
    ],
)
def test_what_leaves_open_who_is_there(answer: str) -> None:
    assert parse_presence(answer, ["tom", "ann"]) == {"tom": None, "ann": None}


@pytest.mark.parametrize(
    "answer",
    [
        "<tom> is here and " * 500,
        "<tom> is" + " " * 50_000 + "here",
        "the " * 5000 + "video",
        "<tom>, " * 1000 + "are here",
        "<tom> is not " + "in the video " * 1000 + "x",
        "no sign of " * 1000 + "<tom>",
        "<tom>" + " definitely" * 1000 + " not here not",
        "x" * 20_000,
    ],
    ids=range(8),
)
def test_long_answers_take_no_long_time(answer: str) -> None:
    begun = time.process_time()
    assert set(parse_presence(answer, ["tom", "ann"])) == {"tom", "ann"}
    assert time.process_time() - begun < 5


@pytest.mark.parametrize("names", [[], ["tom", "tom"], ["tom", "TOM"]])
def test_names_must_differ(names: list[str]) -> None:
    with pytest.raises(UserError, match="different persons asked about, at least one: got"):
        parse_presence("Yes.", names)
