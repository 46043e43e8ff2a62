"""Proxies: what they see and what not, by hand."""

import pytest

from pvchat.judging import Item, detail_proxy, entity_proxy
from pvchat.judging.proxy import content_words


@pytest.mark.parametrize(
    ("answer", "presence", "expected"),
    [
        ("<tom> is reading a book.", {"tom": True}, 1.0),
        ("Tom is reading a book.", {"tom": True}, 1.0),
        ("The man is reading a book.", {"tom": True}, 0.0),
        ("Tomorrow he reads.", {"tom": True}, 0.0),
        ("<tom> is not in this video.", {"tom": True}, 0.0),
        ("<tom> is not in this video.", {"tom": False}, 1.0),
        ("<tom> is reading a book.", {"tom": False}, 0.0),
        ("No.", {"tom": False}, 0.0),
        ("<ann> is reading a book.", {"tom": True}, 0.0),
        ("", {"tom": True}, 0.0),
        ("", {"tom": False}, 0.0),
    ],
)
def test_entity(item, answer: str, presence: dict[str, bool], expected: float) -> None:
    [rating] = entity_proxy([item(answer, presence=presence)])
    assert rating.score == expected


def test_entity_is_a_share_of_the_persons_asked_about(item) -> None:
    two = {"subjects": ("tom", "ann"), "presence": {"tom": True, "ann": False}}
    right = item("<tom> is in the video. <ann> is not in the video.", **two)
    [whole, half] = entity_proxy([right, item("<tom> and <ann> are in the video.", **two)])
    assert (whole.score, half.score) == (1.0, 0.5)
    assert half.reason == "right by name: tom"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("<tom> is reading a red book.", 1.0),
        ("A RED book, reading", 1.0),
        ("<tom> is reading a book.", 2 * 2 / (3 + 2)),
        ("Tom is jumping over a red fence in a park at night.", 2 * 1 / (3 + 5)),
        ("It is in the video.", 0.0),
        ("", 0.0),
        ("<tom> is not in this video. A red book, reading.", 0.0),
    ],
)
def test_detail(item, answer: str, expected: float) -> None:
    [rating] = detail_proxy([item(answer)])
    assert rating.score == pytest.approx(expected)


def test_content_words() -> None:
    words = content_words("<tom> wears Tom Lee's t-shirt\u2019s red, not in the video; 3 dogs!", ["tom"])
    assert words == {"wears", "lee's", "t-shirt\u2019s", "red", "3", "dogs"}


@pytest.mark.parametrize(
    ("changes", "entity", "detail"),
    [
        ({"subjects": ()}, "nobody is asked about", None),
        ({"reference": "Yes, <tom> is in the video."}, None, "the reference has no content words"),
        ({"answer": None}, "no answer was written", "no answer was written"),
        ({"subjects": ("tom", "Tom")}, "names must be the different", "names must be the different"),
    ],
)
def test_what_cannot_be_measured_is_unscored(item, changes, entity, detail) -> None:
    one: Item = item(**changes)
    for proxy, reason in ((entity_proxy, entity), (detail_proxy, detail)):
        [rating] = proxy([one])
        if reason is None:
            assert rating.score is not None
        else:
            assert rating.score is None
            assert reason in rating.reason
