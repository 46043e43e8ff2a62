"""What is said about the numbers, and that the files hold them."""

from pathlib import Path
from typing import Any

import pytest

from pvchat.errors import UserError
from pvchat.retention.before_and_after import Pair
from pvchat.retention.retention_report import (
    CLIPS,
    RANDOM_BRIDGE,
    TEXT,
    Group,
    Retention,
    parts,
    read,
    save,
    screen,
)


def pairs(before: str, after: str, count: int = 12, **more: Any) -> list[Pair]:
    defaults: dict[str, Any] = {"log_likelihood": (-1.0, -1.0), "kl": 0.0, "named": (False, False)}
    return [Pair(f"u{n}", "?", ("Paris",), before, after, **(defaults | more)) for n in range(count)]


def retention(told: list[Pair], *, is_pretrained: bool = True) -> Retention:
    return Retention("runs/x", is_pretrained, (Group.of(CLIPS, told), Group.of(TEXT, told)))


def test_what_is_forgotten_is_said_with_its_interval() -> None:
    sentences = retention(pairs("Paris.", "Rome.")).sentences
    assert f"Forgotten: {TEXT}, the right answer is in it -1.000 [-1.000, -1.000]." in sentences
    assert not any("No accuracy fell" in s for s in sentences)
    assert RANDOM_BRIDGE not in sentences


def test_what_stays_is_not_called_forgotten() -> None:
    mixed = [*pairs("Paris.", "Rome.", 1), *pairs("Paris.", "Paris.", 11)]  # one of twelve: chance
    for told in (pairs("Paris.", "Paris."), pairs("Rome.", "Paris."), mixed):
        assert retention(told).sentences[0] == "No accuracy fell beyond chance."


def test_a_fall_of_the_likelihood_alone_is_no_forgetting() -> None:
    """Whoever learns to speak in sentences finds a bare word less likely."""
    sentences = retention(pairs("Paris.", "Paris.", log_likelihood=(-1.0, -3.0))).sentences
    assert sentences[0] == "No accuracy fell beyond chance."
    assert sentences[1].startswith("Less likely than before")
    assert sentences[1].endswith("-2.000 [-2.000, -2.000].")


def test_limits_are_said() -> None:
    wrong = retention(pairs("Rome.", "Rome."), is_pretrained=False).sentences
    assert any("none was answered right before" in s for s in wrong)
    assert RANDOM_BRIDGE in wrong
    unknown = [Pair(f"u{n}", "?", (), "A", "B", (-1.0, -2.0), 0.1, (False, False)) for n in range(3)]
    assert any("the truth is not known" in s for s in retention(unknown).sentences)


def test_a_subject_who_was_not_asked_about_is_a_warning() -> None:
    told = retention(pairs("Paris.", "<tom>", named=(False, True)))
    assert f"WARNING: 100% of the answers to {CLIPS} name a subject." in told.sentences
    assert any('class="warning"' in part for part in parts(told))


def test_files_hold_every_number_and_answer(tmp_path: Path) -> None:
    told, asked = retention(pairs("Paris.", "<b>Rome</b>|")), pairs("Paris.", "<b>Rome</b>|")
    assert read(tmp_path) is None
    save(told, asked, tmp_path)
    assert read(tmp_path) == told
    text = (tmp_path / "forgetting.md").read_text(encoding="utf-8")
    assert "| answered as before" in text
    assert screen(told).splitlines()[0] in text
    assert '"after": "<b>Rome</b>|"' in (tmp_path / "forgetting.json").read_text(encoding="utf-8")
    assert not any("<b>" in part for part in parts(told))


@pytest.mark.parametrize("text", ["{}", "{", "[]", '{"run": "x", "is_pretrained": true, "groups": [5]}'])
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "forgetting.json").write_text(text)
    with pytest.raises(UserError, match=r"forgetting\.json"):
        read(tmp_path)
