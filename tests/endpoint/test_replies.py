"""Replies: kept whole, checked when read, asked for by one at a time."""

import threading
from pathlib import Path

import pytest

from pvchat.endpoint.replies import Replies, noting
from pvchat.errors import UserError

KEY = "ab" * 32


def test_a_reply_is_asked_for_once(tmp_path: Path) -> None:
    replies = Replies(tmp_path)
    assert [replies.get_or_ask(KEY, str.upper, lambda: "yes") for _ in range(3)] == ["YES"] * 3
    assert (replies.hits, replies.misses) == (2, 1)
    assert [p.name for p in tmp_path.rglob("*.*")] == [f"{KEY}.json"]  # no lock, no temporary file


def test_keys_of_what_is_used_are_noted(tmp_path: Path) -> None:
    replies = Replies(tmp_path)
    replies.get_or_ask("aa", str, lambda: "before")
    with noting() as outer:
        replies.get_or_ask("aa", str, lambda: "again")
        with noting() as inner:
            replies.get_or_ask("bb", str, lambda: "new")
    replies.get_or_ask("cc", str, lambda: "after")
    assert (outer, inner) == ({"aa"}, {"bb"})


@pytest.mark.parametrize("damage", ["", '{"reply": "no", "check": "x"}', '{"reply": "y', "[]", "null"])
def test_a_damaged_reply_is_asked_for_again(tmp_path: Path, damage: str, caplog) -> None:
    Replies(tmp_path).get_or_ask(KEY, str, lambda: "yes")
    [path] = tmp_path.rglob("*.json")
    path.write_text(damage)
    assert Replies(tmp_path).get_or_ask(KEY, str, lambda: "again") == "again"
    assert "asked again" in caplog.text
    assert Replies(tmp_path).get_or_ask(KEY, str, lambda: "never") == "again"


def test_a_reply_that_no_longer_parses_is_asked_for_again(tmp_path: Path) -> None:
    Replies(tmp_path).get_or_ask(KEY, str, lambda: "four")
    assert Replies(tmp_path).get_or_ask(KEY, int, lambda: "4") == 4


def test_failures_leave_nothing(tmp_path: Path) -> None:
    def fail() -> str:
        raise UserError("no")

    with pytest.raises(UserError):
        Replies(tmp_path).get_or_ask(KEY, str, fail)
    assert list(tmp_path.rglob("*.json")) == []
    assert Replies(tmp_path).get_or_ask(KEY, str, lambda: "yes") == "yes"


def test_threads_ask_once(tmp_path: Path) -> None:
    replies, asked, go = Replies(tmp_path), [], threading.Event()

    def ask() -> str:
        asked.append(1)
        go.wait(0.2)
        return "yes"

    threads = [threading.Thread(target=replies.get_or_ask, args=(KEY, str, ask)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(asked) == 1


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "ab").write_text("in the way")
    with pytest.raises(UserError, match="cannot be written"):
        Replies(tmp_path).get_or_ask(KEY, str, lambda: "yes")
