from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from pvchat.errors import UserError
from pvchat.faces import Face, FaceAnalyzer
from pvchat.synthesis.composer import Scene, compose
from pvchat.synthesis.matte import HeadFrame
from pvchat.synthesis.portraits import (
    HEAD_PX,
    UNIT_PX,
    FaceChoiceError,
    Portrait,
    choose_face,
    clip_portraits,
    cut_portrait,
    photo_portraits,
)
from pvchat.synthesis.wardrobe import Clothes
from pvchat.synthesis.writing import write_video

Frame = npt.NDArray[np.uint8]


class Finder(FaceAnalyzer):
    """Finds the given faces in every frame."""

    def __init__(self, *faces: Face) -> None:
        self.faces = list(faces)

    def detect(self, frames: Frame, *, min_probability: float | None = None) -> list[list[Face]]:
        return [self.faces for _ in frames]


def moved(face: Face, x: float, scale: float = 1.0) -> Face:
    centre = face.landmarks.mean(0)
    box = ((face.box.reshape(2, 2) - centre) * scale + centre + [x, 0]).reshape(4)
    return replace(face, box=box.astype(np.float32))


def test_a_head_is_cut_out_at_one_scale(portrait: Portrait) -> None:
    assert portrait.heads.shape == (1, HEAD_PX, HEAD_PX, 4)
    frame = HeadFrame(portrait.landmarks[0])
    assert frame.unit == pytest.approx(UNIT_PX)
    np.testing.assert_allclose(frame.origin, HEAD_PX / 2, atol=0.5)
    assert not portrait.tight
    assert not portrait.grey


def test_the_matte_keeps_face_and_hair_and_drops_the_rest(portrait: Portrait) -> None:
    alpha = portrait.heads[0, ..., 3]
    frame = HeadFrame(portrait.landmarks[0])

    def at(x: float, y: float) -> int:
        column, row = frame.to_pixels(np.array([x, y])).round().astype(int)
        return int(alpha[row, column])

    assert min(at(0, 0), at(0, 1.2), at(-0.6, 0.6), at(0.6, 0.6), at(0.2, -1.2)) > 240
    assert max(at(-2.2, 0), at(2.2, 0), at(0, 2.3), at(-2.2, -2.2), at(2, 2)) < 10
    assert 0.1 < (alpha > 128).mean() < 0.45


def test_a_photo_that_ends_within_the_head_is_tight(tight: Portrait) -> None:
    assert tight.tight
    assert tight.grey
    assert tight.heads[0, :20, :, 3].max() == 0  # nothing is invented beyond the photo


def test_a_folder_gives_a_portrait_a_photo(tmp_path: Path, photo: Frame, face: Face) -> None:
    for name in ("b.png", "a.jpg"):
        Image.fromarray(photo).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("not a photo")
    portraits = photo_portraits(tmp_path, faces=Finder(face), person="ann", licence="CC0", consent="given")
    assert [p.source_id for p in portraits] == ["a", "b"]
    assert {(p.person, p.licence, p.consent, p.origin) for p in portraits} == {
        ("ann", "CC0", "given", "real")
    }


def test_a_clip_gives_portraits_in_the_order_of_time(tmp_path: Path, portrait: Portrait, face: Face) -> None:
    scene = Scene("snow", Clothes("red", "shirt"), "nod", seed=0)
    frames = compose(portrait, scene, num_frames=12, size_px=128)
    write_video(tmp_path / "x.mp4", frames)
    small = replace(face, landmarks=face.landmarks / 4)
    portraits = clip_portraits(tmp_path / "x.mp4", faces=Finder(small), person="ann", count=2, frames_each=3)
    assert [len(p.heads) for p in portraits] == [3, 3]
    assert {p.source_id for p in portraits} == {"x"}


def test_the_only_face_or_a_clearly_larger_one_is_meant(face: Face) -> None:
    small = moved(face, 150, 0.6)
    assert choose_face([face], Path("a.jpg")) is face
    assert choose_face([small, face], Path("a.jpg")) is face  # 2.8 times the area


def test_faces_are_counted_from_the_left(face: Face) -> None:
    right = moved(face, 150)
    assert choose_face([right, face], Path("a.jpg"), 1) is face
    assert choose_face([right, face], Path("a.jpg"), 2) is right


def test_several_people_need_a_choice(face: Face) -> None:
    with pytest.raises(UserError, match=r"one person: a.jpg shows 2 faces .* --face N \(1-2"):
        choose_face([face, moved(face, 150, 0.9)], Path("a.jpg"))
    with pytest.raises(UserError, match=r"from 1: got 3, and a.jpg shows 2. Choose one of 1-2"):
        choose_face([face, moved(face, 150)], Path("a.jpg"), 3)


def test_a_choice_is_only_made_among_several(face: Face) -> None:
    assert choose_face([face], Path("a.jpg"), 3) is face


@pytest.mark.parametrize("count", [0, 2, 3])
def test_how_many_faces_there_are_can_be_asked(face: Face, count: int) -> None:
    with pytest.raises(FaceChoiceError) as caught:
        choose_face([moved(face, 150 * n) for n in range(count)], Path("a.jpg"))
    assert caught.value.found == count


def test_the_seconds_that_were_searched_are_named(tmp_path: Path) -> None:
    write_video(tmp_path / "x.mp4", np.zeros((16, 64, 64, 3), np.uint8))
    with pytest.raises(UserError, match=r"no face was found in x.mp4 from 0.5 to 1.5 s. Cut it to where"):
        clip_portraits(tmp_path / "x.mp4", faces=Finder(), person="ann", start_s=0.5, end_s=1.5)


def test_a_reference_without_a_face(tmp_path: Path, photo: Frame) -> None:
    Image.fromarray(photo[300:]).save(tmp_path / "suit.png")
    with pytest.raises(UserError, match=r"must show a face: none was found in suit.png"):
        photo_portraits(tmp_path / "suit.png", faces=Finder(), person="ann")
    write_video(tmp_path / "x.mp4", np.zeros((4, 64, 64, 3), np.uint8))
    with pytest.raises(UserError, match=r"must show a face: none was found in x.mp4"):
        clip_portraits(tmp_path / "x.mp4", faces=Finder(), person="ann")


def test_missing_and_unreadable_references(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nobody.jpg"):
        photo_portraits(tmp_path / "nobody.jpg", faces=Finder(), person="ann")
    (tmp_path / "broken.png").write_bytes(b"not a picture")
    with pytest.raises(UserError, match=r"broken.png"):
        photo_portraits(tmp_path / "broken.png", faces=Finder(), person="ann")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"must hold jpg, png or webp files"):
        photo_portraits(tmp_path / "empty", faces=Finder(), person="ann")


def test_large_photos_are_shrunk_without_aliasing(photo: Frame, face: Face, portrait: Portrait) -> None:
    large = np.asarray(Image.fromarray(photo).resize((2048, 2048), Image.Resampling.BICUBIC))
    other = cut_portrait(
        [large], [replace(face, landmarks=face.landmarks * 4)], person="ann", source_id="large"
    )
    assert other.detail == pytest.approx(4 * portrait.detail, rel=0.01)
    solid = portrait.heads[0, ..., 3] > 250
    difference = np.abs(other.heads[0, ..., :3].astype(int) - portrait.heads[0, ..., :3])[solid]
    assert difference.mean() < 8
