from pvchat.synthesis.animation.recent import Recent


def test_what_was_used_longest_ago_goes() -> None:
    made: list[str] = []
    kept: Recent[str] = Recent(2)
    for key in ("a", "b", "a", "c", "a", "b"):
        assert kept.get(key, lambda key=key: made.append(key) or key) == key  # type: ignore[misc]
    assert made == ["a", "b", "c", "b"]
