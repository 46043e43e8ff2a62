"""Subjects, their tokens and rows."""

import pytest

from pvchat.errors import UserError
from pvchat.subjects import SubjectRegistry, check_name, mentions, split_mentions


@pytest.mark.parametrize("num_persons", [1, 2, 3, 5])
def test_rows_of_persons_tile_the_table(num_persons: int) -> None:
    registry = SubjectRegistry([f"p{i}" for i in range(num_persons)], num_soft_tokens=3)
    rows = [r for n in registry.names for r in (registry.name_row(n), *registry.soft_rows(n))]
    assert rows == list(range(registry.num_rows)) == list(range(4 * num_persons))


def test_generated_rows_read_as_mentions() -> None:
    registry = SubjectRegistry(["tom", "sarah"], num_soft_tokens=2)
    assert [registry.row_text(r) for r in range(6)] == ["<tom>", "", "", "<sarah>", "", ""]


def test_plain_names_become_mentions() -> None:
    registry = SubjectRegistry(["tom", "tom hanks"])
    assert (
        registry.link("Is Tom Hanks with TOM or tomorrow, <tom>?")
        == "Is <tom hanks> with <tom> or tomorrow, <tom>?"
    )


def test_person_mask_is_who_is_asked_about() -> None:
    registry = SubjectRegistry(["a", "b", "c"])
    assert registry.person_mask("Is <b> here?") == [False, True, False]
    assert registry.person_mask("What is the person wearing?") == [True, True, True]
    with pytest.raises(UserError, match=r"unknown subject 'x'; registered: \['a', 'b', 'c'\]"):
        registry.person_mask("Is <x> here?")


@pytest.mark.parametrize("name", ["", "<tom>", "a" * 41, "-tom", "tom/", "[x]", "a\nb"])
def test_bad_names_are_refused(name: str) -> None:
    with pytest.raises(UserError, match="a subject name is"):
        check_name(name)


@pytest.mark.parametrize("name", ["tom", "Zoë", "李 明", "o'neil", "x2"])
def test_good_names(name: str) -> None:
    assert check_name(name) == name


def test_names_must_differ_and_exist() -> None:
    with pytest.raises(UserError, match="must differ"):
        SubjectRegistry(["Tom", "tom"])
    with pytest.raises(UserError, match="at least one subject"):
        SubjectRegistry([])


def test_mentions() -> None:
    assert mentions("<a> and <b> and <a>") == ("a", "b")
    assert split_mentions("Is <a> here?") == ["Is ", "<a>", " here?"]
