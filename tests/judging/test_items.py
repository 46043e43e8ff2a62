"""What is unscored is listed."""

from pvchat.judging import Rating, unscored


def test_the_unscored_are_listed_by_reason() -> None:
    ratings = [
        Rating("a", None, "dead"),
        Rating("b", 0.0, "wrong person"),
        Rating("c", None, "no answer was written"),
        Rating("d", None, "dead"),
    ]
    assert unscored(ratings) == {"dead": ["a", "d"], "no answer was written": ["c"]}
    assert unscored(ratings[1:2]) == {}
