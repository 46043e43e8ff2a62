"""Videos of which it is known who does what, against the colours from left to right."""

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from pvchat.datamodules.manifest import Record, Split, check_records
from pvchat.datamodules.vocabulary import ACTIONS, vocabulary
from pvchat.errors import UserError
from pvchat.metrics.functional.naming import named
from pvchat.synthesis.side_by_side import ask_who, compose_side_by_side, show_side_by_side, traits
from pvchat.synthesis.writing import write_video

LEVELS = {"tom": 220, "ann": 150, "bob": 90, None: 20}
GESTURES = {"nod": "nodding", "shake": "shaking the head", "smile": "smiling", "wink": "wink"}


def clip(
    folder: Path,
    who: str | None,
    motion: str | None = None,
    clothes: str | None = None,
    *,
    split: Split = "test",
    number: int = 0,
) -> Record:
    """A second of the grey level of ``who``; None is a stranger."""
    path = folder / f"{who}-{motion}-{clothes}-{number}.mp4"
    write_video(path, np.full((8, 32, 32, 3), LEVELS[who], np.uint8))
    presence = {name: name == who for name in LEVELS if name}
    fields: dict[str, Any] = {"licence": "CC0", "consent": "drawn", "origin": "warp", "source_id": path.stem}
    fields |= {"id": path.stem, "path": path, "presence": presence, "motion": motion, "clothes": clothes}
    return Record(split=split, **fields)


def places(record: Record, count: int) -> list[str | None]:
    """Who stands where, by the grey levels of the last frame."""
    with av.open(str(record.path)) as container:
        frames = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
    parts = np.split(frames[-1], count, axis=1)
    return [min(LEVELS, key=lambda who: abs(LEVELS[who] - part.mean())) for part in parts]


def test_questions_are_about_who_is_there_and_what_differs(tmp_path: Path) -> None:
    parts = [clip(tmp_path, "ann", "nod", "red shirt"), clip(tmp_path, "tom", "smile", "red t-shirt")]
    record = show_side_by_side(parts, 0.5, tmp_path / "x.mp4", size_px=32)
    check_records([record])
    assert places(record, 2) == ["ann", "tom"]
    assert record.presence == {"tom": True, "ann": True, "bob": False}
    assert (record.motion, record.clothes, record.clip_seconds) == ("nod+smile", "red shirt+red t-shirt", 0.5)
    asked = {qa.question: (qa.answer, qa.type) for qa in record.qa}
    assert asked["What is <ann> doing?"] == ("<ann> is nodding.", "action")
    assert asked["What is <tom> doing?"] == ("<tom> is smiling.", "action")
    who = [qa for qa in record.qa if qa.type == "who"]
    assert {qa.answer for qa in who} <= {"<ann> is nodding.", "<tom> is smiling."}
    assert sorted(len(qa.subjects) for qa in who) == [0, 2]
    assert len(record.qa) == 4  # both wear red: nobody is asked about it


def test_what_people_wear(tmp_path: Path) -> None:
    parts = [clip(tmp_path, "ann", None, "orange shirt"), clip(tmp_path, None, None, "blue t-shirt")]
    record = show_side_by_side(parts, 1, tmp_path / "x.mp4", size_px=32)
    assert [(qa.question, qa.answer) for qa in record.qa] == [
        ("What is <ann> wearing?", "<ann> is wearing an orange shirt.")
    ]  # of a stranger nothing can be asked, nor who of one
    assert not traits(clip(tmp_path, "tom", None, "red and blue shirt"))


def test_the_words_of_answers_are_in_the_vocabulary_of_the_corpus(tmp_path: Path) -> None:
    people = [
        (who, traits(clip(tmp_path, who, motion))) for who, motion in zip(LEVELS, GESTURES, strict=True)
    ]
    asked = ask_who(people, random.Random(0))
    told = {qa.subjects[0]: qa.answer for qa in asked if qa.type == "action"}
    assert told == {
        who: f"<{who}> is {said}." for who, said in zip(LEVELS, GESTURES.values(), strict=True) if who
    }
    record = show_side_by_side(
        [clip(tmp_path, "tom", "nod"), clip(tmp_path, "bob", "smile")], 1, tmp_path / "x.mp4"
    )
    words = vocabulary([record])["action"]
    assert words == {name: ACTIONS[name] for name in ("nod", "smile")}
    assert all(len(named(qa.answer, words)) == 1 for qa in record.qa)


def test_who_is_drawn_and_where_they_stand(tmp_path: Path) -> None:
    known = [clip(tmp_path, who, motion) for who in ("tom", "ann", "bob") for motion in ("nod", "shake")]
    strangers = [clip(tmp_path, None, "smile", number=n) for n in range(2)]

    def made(folder: str, seed: int = 0) -> list[Record]:
        return compose_side_by_side(
            [*known, *strangers], tmp_path / folder, count=24, seconds=0.25, seed=seed, size_px=32
        )

    videos = made("one")
    check_records(videos)
    seen = [places(video, 2) for video in videos]
    for video, (left, right) in zip(videos, seen, strict=True):
        assert {left, right} - {None} == {who for who, there in video.presence.items() if there}
        for qa in video.qa:
            told = [ACTIONS[motion] for motion in str(video.motion).split("+")]
            [position] = [n for n, words in enumerate(told) if named(qa.answer, {"": words})]
            assert f"<{(left, right)[position]}>" in qa.answer
    assert {len(set(pair) - {None}) for pair in seen} == {1, 2}  # three with names are there in half anyway
    assert {pair[0] for pair in seen} == set(LEVELS)
    doers = [qa.answer for video in videos for qa in video.qa if qa.type == "who"]
    assert len(set(doers)) >= 4
    assert [r.path.read_bytes() for r in made("two")] == [r.path.read_bytes() for r in videos]
    assert {r.id for r in made("three", seed=1)}.isdisjoint(r.id for r in videos)


@pytest.mark.parametrize(
    ("subjects", "people", "alone"), [("t", 2, 20), ("ta", 2, 13), ("ta", 3, 13), ("tab", 3, 10)]
)
def test_being_there_is_as_frequent_as_not(tmp_path: Path, subjects: str, people: int, alone: int) -> None:
    """Else two people on screen would tell that the subject is one of them."""
    motions = ("nod", "shake", "smile", "wink")
    known = [clip(tmp_path, w, m) for w in LEVELS if w and w[0] in subjects for m in motions]
    known = [
        replace(r, presence={w: there for w, there in r.presence.items() if w[0] in subjects}) for r in known
    ]
    nobody = dict.fromkeys(known[0].presence, False)
    strangers = [replace(clip(tmp_path, None, m, number=n), presence=nobody) for n, m in enumerate(motions)]
    videos = compose_side_by_side(
        [*known, *strangers], tmp_path / "out", count=40, num_people=people, seconds=0.125, size_px=32
    )
    there = [sum(video.presence.values()) for video in videos]
    assert there.count(0) == alone
    assert all(not video.qa for video, count in zip(videos, there, strict=True) if not count)
    assert sum(there) / len(there) / len(subjects) == pytest.approx(0.5, abs=0.08)


def test_strangers_alone_need_not_differ(tmp_path: Path) -> None:
    alike = [clip(tmp_path, None, "nod", number=n) for n in range(2)]
    people = [clip(tmp_path, who, "smile") for who in ("tom",)]
    records = [replace(r, presence={"tom": r.presence["tom"]}) for r in [*people, *alike]]
    videos = compose_side_by_side(records, tmp_path / "out", count=4, seconds=0.25, size_px=32)
    assert [sum(video.presence.values()) for video in videos] == [1, 0, 1, 0]


def test_what_cannot_stand_side_by_side(tmp_path: Path) -> None:
    tom, ann = clip(tmp_path, "tom", "nod"), clip(tmp_path, "ann", "nod")
    later = clip(tmp_path, "ann", "smile", split="train")
    for records in ([tom], [tom, tom], [tom, later]):
        with pytest.raises(UserError, match=r"clips side by side need two or more, .* nobody twice: got"):
            show_side_by_side(records, 1, tmp_path / "x.mp4")
    with pytest.raises(
        UserError, match=r"2 people side by side need a motion each, .* 2 subjects and 0 clips"
    ):
        compose_side_by_side([tom, ann], tmp_path, count=1)  # both nod
    with pytest.raises(UserError, match=r"3 people side by side"):
        compose_side_by_side([tom, ann], tmp_path, count=1, num_people=3)
