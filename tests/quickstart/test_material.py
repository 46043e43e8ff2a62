"""Who is the subject and who is not: references show one person, nobody else does, nobody is in two splits.

Faces here are flat colours: a photo shows as many as its black-to-white border says, and the colour of its
centre is the person."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pvchat.errors import UserError
from pvchat.faces import Face, FaceAnalyzer, Frame, Vector
from pvchat.quickstart.files import own_files
from pvchat.quickstart.material import Material, Portraits, own_material
from pvchat.synthesis.likeness import ONE_SUBJECT, alike, look
from pvchat.synthesis.portraits import Portrait, photo_portraits
from pvchat.synthesis.writing import write_video

TOM, ANN, BEN, CAT, DAN, EVE = (
    (200, 40, 40), (40, 200, 40), (40, 40, 200), (200, 200, 40), (40, 200, 200), (200, 40, 200)
)  # fmt: skip
NOBODY = (0, 0, 0)
LIKE_TOM = (200, 40, 66)  # .26 away from tom


class ColourFaces(FaceAnalyzer):
    def detect(self, frames: Frame, *, min_probability: float | None = None) -> list[list[Face]]:
        return [self._find(frame) for frame in frames]

    def embed(self, frame: Frame, face: Face) -> Vector:
        x, y = (face.box[:2] + face.box[2:]).astype(int) // 2
        return np.asarray(frame[y, x] / 100, np.float32)

    def _find(self, frame: Frame) -> list[Face]:
        height, width = frame.shape[:2]
        count = 1 if height == width else width // height  # two side by side: twice as wide
        if frame[height // 2, width // 2].max() < 30:
            return []
        marks = np.array([[-8, 0], [8, 0], [0, 8], [-6, 16], [6, 16]], np.float32)
        centres = [(height * (n + 0.5), height / 2) for n in range(count)]
        return [
            Face(np.array([x - 20, y - 20, x + 20, y + 20], np.float32), np.add(marks, [x, y]), 1.0)
            for x, y in centres
        ]


def photo(path: Path, *colours: tuple[int, int, int], serial: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = np.concatenate([np.full((96, 96, 3), c, np.uint8) for c in colours], axis=1)
    picture[0, 0] = serial  # so that contents differ
    Image.fromarray(picture).save(path)
    return path


def film(path: Path, *seconds: tuple[int, int, int]) -> Path:
    frames = [np.full((96, 96, 3), c, np.uint8) for c in seconds for _ in range(8)]
    write_video(path, np.stack(frames))
    return path


@pytest.fixture
def others(tmp_path: Path) -> Path:
    for name, colour in (("ann", ANN), ("ben", BEN), ("cat", CAT), ("dan", DAN)):
        photo(tmp_path / "others" / f"{name}.png", colour)
    return tmp_path / "others"


def make(others: Path, *reference: Path, face: int | None = None) -> Material:
    return own_material(
        "tom", own_files([str(r) for r in reference], str(others)), faces=ColourFaces(), face=face
    )


def split_of(material: Material) -> dict[str, str]:
    """Split of every other person; nobody may be in two."""
    people = {split: {p.person for p in group} for split, group in material.negatives.items()}
    assert sum(map(len, people.values())) == len(set().union(*people.values()))
    return {person: split for split, group in people.items() for person in group}


def test_photos_are_kept_apart_for_the_test(tmp_path: Path, others: Path) -> None:
    days = [photo(tmp_path / f"{n}.png", (200, 40, 40 + 15 * n)) for n in range(3)]
    material = make(others, *days)
    assert {split: [p.source_id for p in group] for split, group in material.positives.items()} == {
        "train": ["0", "1"],
        "validation": ["0", "1"],
        "test": ["2"],
    }
    assert split_of(material) == {
        "ann.png": "train", "ben.png": "test", "cat.png": "validation", "dan.png": "train"
    }  # fmt: skip
    assert [(r.path.name, r.subject) for r in material.raw] == [("2.png", "tom"), ("ben.png", None)]
    assert "rest on 1 other people in the test and 2 in training" in material.story
    assert "learned from 2 photos or clips and tested on one photo or clip more" in material.story
    assert material.notes == []


def test_further_people_join_the_users(tmp_path: Path, others: Path) -> None:
    """In training alone, and unlike the subject, of whom all portraits are shown to who makes them."""
    (eve,) = photo_portraits(photo(tmp_path / "eve.png", EVE), faces=ColourFaces(), person="eve")
    shown: list[Portrait] = []

    def more(own: Sequence[Portrait]) -> Portraits:
        shown.extend(own)
        return {"train": [eve], "validation": [], "test": [replace(eve, person="eva")]}

    days = [photo(tmp_path / f"{n}.png", (200, 40, 40 + 15 * n)) for n in range(3)]
    files = own_files([str(day) for day in days], str(others))
    material = own_material("tom", files, faces=ColourFaces(), more=more)
    assert {p.source_id for p in shown} == {"0", "1", "2"}
    assert split_of(material) == split_of(make(others, *days)) | {"eve": "train", "eva": "train"}
    assert "In training also 2 from packages" in material.story
    assert "rest on 1 other people in the test and 4 in training" in material.story


def test_the_same_picture_under_another_name_is_told(tmp_path: Path, others: Path) -> None:
    other_day = photo(tmp_path / "2.png", (200, 40, 70))
    one, same = (photo(tmp_path / name, TOM) for name in ("1.png", "1.tiff"))
    assert make(others, one, other_day, same).notes == [
        "Nearly the same picture in test and training, which makes it easy: 1.tiff = 1.png."
    ]
    assert (
        make(others, film(tmp_path / "x.mp4", *[TOM] * 4)).notes == []
    )  # the story says it is one recording


def test_references_of_two_people_are_refused(tmp_path: Path, others: Path) -> None:
    mixed = [photo(tmp_path / f"{n}.png", c, serial=n) for n, c in enumerate((TOM, ANN, TOM))]
    with pytest.raises(UserError, match=r"one person: the face of 1.png .* that of \d.png \(distance 2.26"):
        make(others, *mixed)


def test_one_person_may_look_different_on_another_day(tmp_path: Path, others: Path) -> None:
    days = [photo(tmp_path / f"{n}.png", (200, 40, 40 + 60 * n)) for n in range(3)]  # 1.2 from end to end
    assert len(make(others, *days).positives["train"]) == 2


def test_another_person_in_a_part_of_the_recording(tmp_path: Path, others: Path) -> None:
    with pytest.raises(UserError, match=r"face of x.mp4 \(test part\) does not look like that of x.mp4"):
        make(others, film(tmp_path / "x.mp4", TOM, TOM, TOM, TOM, ANN, ANN))


def test_a_person_who_leaves_half_way(tmp_path: Path, others: Path) -> None:
    with pytest.raises(UserError, match=r"no face was found in x.mp4 from 3.8 to 5.9 s. Cut it"):
        make(others, film(tmp_path / "x.mp4", TOM, TOM, TOM, NOBODY, NOBODY, NOBODY))


def test_the_subject_is_not_among_the_others(tmp_path: Path, others: Path) -> None:
    photo(others / "eve.png", EVE)
    photo(others / "them" / "1.png", LIKE_TOM)
    photo(others / "them" / "2.png", DAN, serial=5)  # one of a folder is enough
    material = make(others, photo(tmp_path / "tom.png", TOM))
    assert set(split_of(material)) == {"ann.png", "ben.png", "cat.png", "dan.png", "eve.png"}
    assert material.notes[0] == (
        "Left out of the other people, 1 who look like tom (distance below 0.55): them (0.26)."
    )
    assert "does not show whether tom is told from people who look alike" in material.notes[1]


def test_pictures_without_one_clear_face_are_left_out(tmp_path: Path, others: Path) -> None:
    photo(others / "pair.png", ANN, BEN)
    photo(others / "wall.png", NOBODY)
    material = make(others, photo(tmp_path / "tom.png", TOM))
    assert material.notes == [
        "Left out of the other people, 2 without one clear face: pair.png (2 faces), wall.png (no face)."
    ]
    (others / "ann.png").unlink()
    with pytest.raises(UserError, match=r"at least 4 .*: 3 remain \(ben.png, .*Left out: 2 without one"):
        make(others, tmp_path / "tom.png")


def test_one_person_under_two_names_is_in_one_split(tmp_path: Path, others: Path) -> None:
    photo(others / "ann2.png", ANN, serial=1)
    material = make(others, photo(tmp_path / "tom.png", TOM))
    assert split_of(material)["ann.png"] == "train"
    assert "ann2.png" not in split_of(material)
    assert material.notes == ["Look alike and are taken for one person each: ann.png = ann2.png."]


def test_a_choice_of_face_is_for_those_who_have_several(tmp_path: Path, others: Path) -> None:
    alone, pair = photo(tmp_path / "1.png", TOM), photo(tmp_path / "2.png", ANN, TOM)
    assert len(make(others, alone, pair, face=2).positives["test"]) == 1
    with pytest.raises(UserError, match="references must show one person"):
        make(others, alone, pair, face=1)


def test_real_people(media: Path) -> None:
    """Nobody is refused for looking different on another day; nearly every wrong photo among theirs is."""
    faces = FaceAnalyzer()
    looks = {
        name: [look([p], faces) for p in photo_portraits(media / name, faces=faces, person=name)]
        for name in ("photos/alex", "photos/obama", "photos/scarlett", "tv/leonard", "tv/penny")
    }
    assert [name for name, own in looks.items() if len(alike(own, ONE_SUBJECT)) > 1] == []
    wrong = [
        len(alike([*own, shot], ONE_SUBJECT)) > 1
        for name, own in looks.items()
        for other, shots in looks.items()
        if other != name
        for shot in shots
    ]
    assert np.mean(wrong) > 0.85
