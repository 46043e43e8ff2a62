"""Videos of which it is known when somebody appears, against the colours of their frames."""

from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from pvchat.datamodules.manifest import Record, Split, check_records
from pvchat.errors import UserError
from pvchat.metrics.functional.intervals import parse_intervals
from pvchat.synthesis.appearances import appearances, ask_when, compose_appearances, join_clips
from pvchat.synthesis.writing import FPS, write_photo, write_video

TOM, ANN = 200, 60  # grey levels of who is on screen


def clip(folder: Path, name: str, tom: bool, *, num_frames: int = 16, split: Split = "test") -> Record:
    """Two seconds of one grey level, wider than high; a photo where there is one frame."""
    path = folder / (f"{name}.mp4" if num_frames > 1 else f"{name}.png")
    frames = np.full((num_frames, 32, 48, 3), TOM if tom else ANN, np.uint8)
    write_video(path, frames) if num_frames > 1 else write_photo(path, frames[0])
    return Record(
        id=name,
        path=path,
        presence={"tom": tom, "ann": not tom},
        source_id=f"recording {name}",
        origin="real",
        split=split,
        licence="CC0",
        consent="drawn" if tom else "drawn too",
    )


def levels(path: Path) -> list[float]:
    """Grey in the middle of each frame."""
    with av.open(str(path)) as container:
        return [float(f.to_ndarray(format="rgb24")[20:40, 20:40].mean()) for f in container.decode(video=0)]


def seen(record: Record) -> list[bool]:
    """Whether each frame shows tom, by its grey level."""
    return [abs(level - TOM) < 20 for level in levels(record.path)]


def told(record: Record, name: str) -> list[bool]:
    """Whether each frame shows ``name``, by the answer."""
    [qa] = [q for q in record.qa if q.subjects == (name,)]
    intervals = parse_intervals(qa.answer)
    assert intervals is not None
    times = [(n + 0.5) / FPS for n in range(len(levels(record.path)))]
    return [any(a <= t < b for a, b in intervals) for t in times]


def test_the_answer_is_what_the_frames_show(tmp_path: Path) -> None:
    parts = [clip(tmp_path, str(n), tom) for n, tom in enumerate([False, True, True, False, True])]
    record = join_clips(parts, [1, 0.5, 1.125, 2, 0.25], tmp_path / "joined.mp4", size_px=64)
    check_records([record])
    assert record.qa[0].question == "When does <tom> appear in this video of 4.875 s?"
    assert record.qa[0].answer == "<tom> appears from 1 s to 2.625 s and from 4.625 s to 4.875 s."
    assert seen(record) == told(record, "tom")
    assert told(record, "ann") == [not there for there in told(record, "tom")]
    assert record.presence == {"tom": True, "ann": True}
    assert record.consent == "drawn; drawn too"
    assert len(levels(record.path)) == 39


def test_short_clips_and_photos_stand_still(tmp_path: Path) -> None:
    parts = [clip(tmp_path, "photo", True, num_frames=1), clip(tmp_path, "short", False, num_frames=3)]
    record = join_clips(parts, [1, 2], tmp_path / "joined.mp4", size_px=64)
    assert seen(record) == told(record, "tom") == [True] * 8 + [False] * 16


def test_never(tmp_path: Path) -> None:
    record = join_clips([clip(tmp_path, "a", False)], [1], tmp_path / "joined.mp4", size_px=64)
    assert record.qa[0].answer == "<tom> does not appear in this video."
    assert parse_intervals(record.qa[0].answer) == []
    assert record.presence == {"tom": False, "ann": True}


def test_neighbours_are_one_appearance() -> None:
    assert appearances([True, True, False, True], [4, 4, 8, 2], 8) == [(0, 1), (2, 2.25)]
    assert ask_when({"tom": [(0.0, 1 / 3)]}, 1)[0].answer == "<tom> appears from 0 s to 0.3333333333 s."


def test_corpus(tmp_path: Path) -> None:
    records = [clip(tmp_path, f"{tom}{n}", tom) for tom in (True, False) for n in range(3)]

    def made(folder: str, seed: int = 0) -> list[Record]:
        return compose_appearances(
            records, "tom", tmp_path / folder, count=6, num_parts=3, seconds=(0.5, 1), seed=seed, size_px=64
        )

    videos = made("one")
    check_records(videos)
    assert all(seen(r) == told(r, "tom") for r in videos)
    assert len({r.qa[0].answer for r in videos}) > 3
    assert {(r.end_s or 0) % 0.5 for r in videos} == {0}
    assert any((False, True) in pairwise(seen(r)) for r in videos)  # tom also comes after others
    assert [r.path.read_bytes() for r in made("two")] == [r.path.read_bytes() for r in videos]
    assert {r.id for r in made("three", seed=1)}.isdisjoint(r.id for r in videos)


def test_parts_of_the_subject_are_spread_evenly_and_splits_drawn_apart(tmp_path: Path) -> None:
    def answers(split: Split) -> list[str]:
        records = [
            clip(tmp_path, f"{split}{tom}{n}", tom, num_frames=1, split=split)
            for tom in (True, False)
            for n in range(2)
        ]
        videos = compose_appearances(
            records, "tom", tmp_path / split, count=9, num_parts=2, seconds=(0.5, 2), size_px=64, fps=2
        )
        shown = [sum(seen(r)) / len(seen(r)) for r in videos]
        assert [shown.count(0.0), shown.count(1.0)] == [3, 3]
        return [f"{r.qa[0].question} {r.qa[0].answer}" for r in videos]

    train, test = answers("train"), answers("test")
    assert sum(a == b for a, b in zip(train, test, strict=True)) < 4


def test_what_cannot_be_joined(tmp_path: Path) -> None:
    a, b = clip(tmp_path, "a", True), clip(tmp_path, "b", True, split="train")
    for records, seconds in (([a, b], [1, 1]), ([a], [1, 1]), ([a], [0.01]), ([], [])):
        with pytest.raises(UserError, match=r"joined clips need a frame of each, one split and the same"):
            join_clips(records, seconds, tmp_path / "x.mp4")
    with pytest.raises(
        UserError, match=r"videos of 4 clips need as many with 'tom' and without, .* 1 with, 0 w"
    ):
        compose_appearances([a], "tom", tmp_path, count=1)
