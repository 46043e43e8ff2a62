"""The user's files: what is no clip or photo is ignored and counted, nothing is used twice."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pvchat.errors import UserError
from pvchat.quickstart.files import check_length, listed, own_files, recording
from pvchat.synthesis.writing import write_video


def photo(path: Path, level: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 6), (level, level, level)).save(path)
    return path


def clip(path: Path, frames: int) -> Path:
    write_video(path, np.zeros((frames, 32, 32, 3), np.uint8))  # 8 a second
    return path


@pytest.fixture
def others(tmp_path: Path) -> Path:
    folder = tmp_path / "others"
    for n in range(4):
        photo(folder / f"{n}.png", 10 * n)
    return folder


def test_people_are_files_and_folders(tmp_path: Path, others: Path) -> None:
    for name in ("a", "b"):
        photo(others / "ann" / f"{name}.png", 200 + ord(name) % 9)
    (others / "ann" / ".hidden.png").touch()
    found = own_files([str(photo(tmp_path / "tom.png", 99))], str(others))
    assert list(found.people) == ["0.png", "1.png", "2.png", "3.png", "ann"]
    assert [f.name for f in found.people["ann"]] == ["a.png", "b.png"]
    assert found.notes == []


def test_what_is_no_media_is_ignored_and_counted(tmp_path: Path, others: Path) -> None:
    photo(tmp_path / "tom" / "1.png", 99)
    for path in (others / "README.md", tmp_path / "tom" / "notes.txt"):
        path.write_text("words")
    (others / "nobody").mkdir()
    assert own_files([str(tmp_path / "tom")], str(others)).notes == [
        "Ignored, by their names no clips or photos: 2 (notes.txt, README.md).",
        "Ignored, folders without clips or photos: 1 (nobody).",
    ]


def test_the_same_content_is_used_once(tmp_path: Path, others: Path) -> None:
    tom = photo(tmp_path / "tom" / "1.png", 99)
    again = Path(shutil.copy(tom, tmp_path / "tom" / "2.png"))
    shutil.copy(others / "3.png", others / "4.png")
    found = own_files([str(tom), str(tom), str(again)], str(others))
    assert found.reference == [tom]
    assert found.notes == [
        "Used once, although given twice: 3 (tom/1.png = tom/1.png, tom/2.png = tom/1.png, "
        "others/4.png = others/3.png)."
    ]


def test_a_person_with_a_reference_is_the_subject(tmp_path: Path, others: Path) -> None:
    tom = photo(others / "them" / "1.png", 99)
    photo(others / "them" / "2.png", 98)
    found = own_files([str(tom)], str(others))
    assert "them" not in found.people
    assert found.notes == ["Left out of the other people, holding a reference: 1 (them)."]


def test_too_few_people(tmp_path: Path, others: Path) -> None:
    (others / "3.png").unlink()
    (others / "README.md").write_text("words")
    with pytest.raises(UserError, match=r"at least 4 other people.* has 3\. Ignored.* 1 \(README.md\)\."):
        own_files([str(photo(tmp_path / "tom.png", 99))], str(others))


def test_a_reference_that_is_none(tmp_path: Path, others: Path) -> None:
    (tmp_path / "tom").mkdir()
    with pytest.raises(UserError, match=r"--reference needs a clip or photos: .*tom holds none"):
        own_files([str(tmp_path / "tom")], str(others))
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(UserError, match=r"empty.mp4' is empty \(0 bytes\)\. Copy it again"):
        own_files([str(tmp_path / "empty.mp4")], str(others))


@pytest.mark.parametrize(("frames", "shown"), [(1, "0.00 s and has 1"), (2, "0.12 s and has 2")])
def test_a_recording_too_short_to_be_cut_in_time(
    tmp_path: Path, others: Path, frames: int, shown: str
) -> None:
    path = clip(tmp_path / "tom.mp4", frames)
    with pytest.raises(UserError, match=f"must last 2 s and have 16 frames: tom.mp4 lasts {shown}"):
        own_files([str(path)], str(others))


def test_which_references_are_cut_in_time(tmp_path: Path) -> None:
    one, two = clip(tmp_path / "1.mp4", 17), clip(tmp_path / "2.mp4", 2)
    face = photo(tmp_path / "1.png", 0)
    assert recording([one]) == recording([face, one]) == one
    assert recording([one, two]) is recording([face]) is recording([face, face, one]) is None
    assert check_length(one) == pytest.approx(2.0)


def test_long_lists_are_cut() -> None:
    assert listed(["a", "b"]) == "a, b"
    assert listed(list("abcd"), most=2) == "a, b and 2 more"
