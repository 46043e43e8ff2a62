import pytest

from pvchat.datamodules.sources.wording import choice, existence, named, opened, question_type
from pvchat.errors import UserError
from pvchat.metrics.functional.presence import parse_presence


def test_answers_are_read_as_they_are_meant() -> None:
    presence = {"bo": True, "shiba-gray": False, "Casey's son": True}
    for qa in existence(presence, what="video"):
        [name] = qa.subjects
        assert parse_presence(qa.answer, [name]) == {name: presence[name]}
        assert (qa.type, qa.polarity) == ("existence", "yes" if presence[name] else "no")
        assert f"<{name}>" in qa.question


def test_a_choice_has_its_options_in_the_question() -> None:
    qa = choice("What is <bo>'s colour?", ["Brown", "Grey"], "Grey", ["bo"], "x.json")
    assert qa.question == "What is <bo>'s colour? Answer with one of: Brown; Grey."
    assert (qa.answer, qa.type, qa.polarity, qa.subjects) == ("Grey", "general", None, ("bo",))


@pytest.mark.parametrize("options", [["Brown"], ["Brown", "brown"]])
def test_options_differ(options: list[str]) -> None:
    with pytest.raises(UserError, match=r"^x.json: options must be two or more that differ: got \['Brown'"):
        choice("Which?", options, "Brown", ["bo"], "x.json")


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("What is <bo> wearing?", "appearance"),
        ("What is <bo> doing?", "action"),
        ("Where is <bo>?", "location"),
        ("Is <bo> large?", "general"),
    ],
)
def test_types_by_words(question: str, kind: str) -> None:
    assert question_type(question) == opened(question, "It.", ["ann"]).type == kind
    assert opened(question, "It.", ["ann"]).subjects == ("bo",)
    assert opened("Who?", "It.", ["ann"]).subjects == ("ann",)


@pytest.mark.parametrize("spelled", ["sks", "<sks>", "red_doll", "Red Doll", "<red doll>", "red-doll"])
def test_ways_to_name_a_concept(spelled: str) -> None:
    assert named(f"A {spelled}'s hat.", "red_doll") == "A <red_doll>'s hat."


def test_other_words_stay() -> None:
    assert named("A wired doll and <red_doll>.", "red_doll") == "A wired doll and <red_doll>."
