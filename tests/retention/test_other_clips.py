"""Which clips and questions show that nothing was forgotten: others', of the test, that name nobody."""

from dataclasses import replace
from pathlib import Path

import pytest
from tiny import make_corpus

from pvchat.datamodules.manifest import QA, Record, read_manifest
from pvchat.errors import UserError
from pvchat.retention.general_questions import ABOUT_CLIPS
from pvchat.retention.other_clips import choose

WORN = QA("What is the person wearing?", "The person is wearing red.", "general")
NAMED = QA("What does <tom> wear?", "<tom> wears red.", "general", None, ("tom",))
TOLD = QA("Who is it?", "It is not <tom>.", "general")


@pytest.fixture
def records(tmp_path: Path) -> list[Record]:
    """Two clips of tom and two of others in each split."""
    return read_manifest(make_corpus(tmp_path, clips={"train": 4, "test": 4}))


def test_questions_of_the_corpus_about_test_clips_of_others(records: list[Record]) -> None:
    found = choose([replace(r, qa=(*r.qa, NAMED, TOLD, WORN)) for r in records], ["tom"])
    others = [r.id for r in records if r.split == "test" and not r.presence["tom"]]
    assert found.truth_known
    assert [(clip.id, e.clip_id, e.question, e.answer) for clip, e in found.asked] == [
        (name, name, WORN.question, WORN.answer) for name in others
    ]
    assert len(others) == 2


def test_a_corpus_without_any_is_asked_ours(records: list[Record]) -> None:
    found = choose(records, ["tom"])
    assert not found.truth_known
    assert [e.question for _, e in found.asked] == [*ABOUT_CLIPS, *ABOUT_CLIPS]
    assert {e.answer for _, e in found.asked} == {""}


def test_clips_of_a_corpus_about_somebody_else(records: list[Record]) -> None:
    """It knows nothing of eva: nobody in it is she, and its own subject is one of the others."""
    found = choose(records, ["eva"])
    assert {clip.id for clip, _ in found.asked} == {r.id for r in records if r.split == "test"}
    assert all(example.presence == {"eva": False} for _, example in found.asked)


def test_no_clip_of_others_is_refused(records: list[Record]) -> None:
    alone = [r for r in records if r.split != "test" or r.presence["tom"]]
    with pytest.raises(UserError, match=r"test clips without tom: got none. Add some, or name another"):
        choose(alone, ["tom"])
