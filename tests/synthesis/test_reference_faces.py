"""Clips, photos and folders become the best faces of one person; what cannot be used is said."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
import skimage.data
from PIL import Image

from pvchat.errors import UserError
from pvchat.faces import Face, FaceAnalyzer, Vector
from pvchat.synthesis import reference_faces
from pvchat.synthesis.animation.face_mesh import FaceMesh
from pvchat.synthesis.face_quality import FaceQuality
from pvchat.synthesis.portraits import FaceChoiceError
from pvchat.synthesis.reference_faces import FoundFaces, find_faces

Frame = npt.NDArray[np.uint8]
RED, BLUE = 0, 2


class Patches(FaceAnalyzer):
    """Faces are red or blue squares: a person each."""

    def detect(self, frames: Frame, *, min_probability: float | None = None) -> list[list[Face]]:
        found: list[list[Face]] = []
        for frame in frames.astype(int):
            found.append([])
            for colour in (RED, BLUE):
                rows, columns = np.nonzero(frame[..., colour] - frame[..., 1] > 70)
                if len(rows) > 9:
                    box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
                    found[-1].append(Face(np.array(box, np.float32), np.zeros((5, 2), np.float32), 1.0))
        return found

    def embed(self, frame: Frame, face: Face) -> Vector:
        x0, y0, x1, y1 = face.box.astype(int)
        r, _, b = frame[y0:y1, x0:x1].mean((0, 1))
        return np.full(128, 0.08 if b > r else 0.0, np.float32)


def quality(frame: Frame, face: Face, **_: object) -> FaceQuality:
    """The brightness of the place is how open the eyes are and, in a bright place, how sharp it is."""
    light = float(frame[:, :3, 1].mean())
    size = float(face.box[3] - face.box[1])
    return FaceQuality(light / 500, 0.0, 0.0, 0.0, 0.0, light / 255, 1.0, 1.0, size, light > 230)


@pytest.fixture(autouse=True)
def measured_by_brightness(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference_faces, "measure", quality)


def place(light: int = 150, *, red: int | None = 60, blue: int | None = None, size: int = 50) -> Frame:
    """A grey place (128, 256, 3); ``red`` and ``blue`` say where their faces begin."""
    frame = np.full((128, 256, 3), light, np.uint8)
    for colour, x in ((RED, red), (BLUE, blue)):
        if x is not None:
            frame[30 : 30 + size, x : x + size] = 20
            frame[30 : 30 + size, x : x + size, colour] = 230
    return frame


def clip(path: Path, frames: Sequence[Frame], *, times_ms: Sequence[int] | None = None) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = frames[0].shape[1], frames[0].shape[0], "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for n, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = times_ms[n] if times_ms else 100 * n, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def photo(path: Path, frame: Frame) -> Path:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(frame).save(path)
    return path


def find(*paths: Path, **options: object) -> FoundFaces:
    return find_faces(paths, faces=Patches(), mesh=FaceMesh(), **options)  # type: ignore[arg-type]


def test_best_faces_of_a_clip(tmp_path: Path) -> None:
    lights = [40] * 10 + [140] * 10 + [150] * 10 + [120] * 10
    found = find(clip(tmp_path / "tom é.mp4", [place(light) for light in lights]), count=3)
    assert len(found.kept) == 3
    assert 2 <= found.kept[0].time_s < 3  # the brightest
    times = sorted(k.time_s for k in found.kept)
    assert np.diff(times).min() >= 1
    assert times[0] >= 1
    scores = [k.quality.score for k in found.kept]
    assert scores == sorted(scores, reverse=True)
    assert found.kept[0].source_id == f"tom é.mp4@{found.kept[0].time_s:.2f}s"
    assert len(found.kept) + len(found.rejected) + len(found.spare) == 32  # 8 a second
    assert found.spare
    assert {r.reason.split(" (")[0] for r in found.rejected} == {"eyes closed"}
    assert found.rejected[0].frames.shape == (1, 128, 128, 3)
    x0, y0, x1, y1 = found.kept[0].face.box.astype(int)
    inner = found.kept[0].frame[y0 + 3 : y1 - 3, x0 + 3 : x1 - 3].astype(int)
    assert (inner[..., RED] - inner[..., 1]).min() > 70


def test_eyes_are_held_against_those_of_the_clip(tmp_path: Path) -> None:
    frames = [place(150)] * 16 + [place(105)] * 4  # .21 would do for a photo
    found = find(clip(tmp_path / "a.mp4", frames))
    assert sum("eyes closed (aspect 0.21, at least 0.23)" in r.reason for r in found.rejected) >= 3
    assert not find(photo(tmp_path / "a.png", place(105))).rejected


def test_variable_frame_rate_and_few_looks(tmp_path: Path) -> None:
    times = [0, 40, 80, 1000, 3000, 3050, 9000]
    path = clip(tmp_path / "vfr.mp4", [place()] * 7, times_ms=times)
    done: list[tuple[int, int]] = []
    found = find(path, max_frames=5, progress=lambda n, of: done.append((n, of)))
    assert {k.time_s * 1000 for k in found.kept} <= set(times)
    assert done[-1][0] == done[-1][1] <= 5


def test_photos_clips_and_folders_together(tmp_path: Path) -> None:
    photo(tmp_path / "folder" / "1.png", place(140))
    photo(tmp_path / "folder" / "2.png", place(120))
    (tmp_path / "folder" / "notes.txt").write_text("no photo")
    other = photo(tmp_path / "other" / "1.png", place(130))
    empty = photo(tmp_path / "wall.png", place(red=None))
    found = find(tmp_path / "folder", other, other, empty, clip(tmp_path / "c.mp4", [place(150)] * 30))
    names = [k.source_id for k in found.kept]
    assert set(names) >= {"folder/1.png", "2.png", "other/1.png"}
    assert any(name.startswith("c.mp4@") for name in names)
    assert found.notes == ("wall.png shows no face and is left out.",)


def test_who_is_meant_of_several(tmp_path: Path) -> None:
    both = photo(tmp_path / "both.png", place(red=20, blue=180))
    with pytest.raises(FaceChoiceError, match=r"shows 2 about equally.*--face N \(1-2.*--like"):
        find(both)
    ann, bob = photo(tmp_path / "ann.png", place()), photo(tmp_path / "bob.png", place(red=None, blue=60))
    for options in ({"face": 2}, {"like": [bob]}):
        found = find(both, **options)
        assert found.kept[0].embedding[0] > 0.05
        assert found.kept[0].others == 0  # cut off
        assert "number 2 from the left" in found.notes[0]
    assert all(k.embedding[0] < 0.05 for k in find(both, ann).kept)  # as in the other photo
    with pytest.raises(FaceChoiceError, match=r"--face counts .* got 3"):
        find(both, face=3)
    with pytest.raises(UserError, match=r"one person: the face of .*\.png does not look like"):
        find(ann, bob)
    with pytest.raises(FaceChoiceError, match=r"--like must show somebody who is in ann\.png"):
        find(ann, like=[bob])
    near = photo(tmp_path / "near.png", place(red=60, blue=115))
    assert find(near, face=1).notes[-1] == "Somebody else is in the picture in 1 of 1 faces."


def test_the_best_of_bad_ones_is_kept_with_a_note(tmp_path: Path) -> None:
    found = find(photo(tmp_path / "a.png", place(50)), photo(tmp_path / "b.png", place(70)))
    assert [k.source_id for k in found.kept] == ["b.png"]
    assert found.notes[0].startswith(
        "No face is without fault: kept is the best of 2, eyes closed (aspect 0.1"
    )


def test_dark_eyes_are_noted(tmp_path: Path) -> None:
    assert "in 1 of 1 faces, as behind sunglasses" in find(photo(tmp_path / "a.png", place(240))).notes[0]


def test_bad_input_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    wall = photo(tmp_path / "wall.png", place(red=None))
    tiny = photo(tmp_path / "tiny.png", place(size=30))
    broken = tmp_path / "kaputt ü.mp4"
    broken.write_bytes(b"nothing")
    for paths, said in (
        ([], "a subject needs a reference: none was given"),
        ([tmp_path / "empty"], "a folder of references must hold photos or videos"),
        ([tmp_path / "gone.mp4"], r"gone\.mp4' does not exist"),
        ([wall], r"none was found in wall\.png"),
        ([tiny], r"the largest, in tiny\.png, is too small \(30 px high, at least 40\)"),
    ):
        with pytest.raises(UserError, match=said):
            find(*paths)
    done: list[int] = []
    with pytest.raises(UserError, match="kaputt ü"):
        find(wall, broken, progress=lambda n, _: done.append(n))
    assert not done  # before anything was searched


def test_an_animal_is_no_face(tmp_path: Path) -> None:
    cat = photo(tmp_path / "cat.png", skimage.data.chelsea())
    with pytest.raises(FaceChoiceError, match=r"none was found in cat\.png"):
        find_faces([cat], faces=FaceAnalyzer(), mesh=FaceMesh())


@pytest.mark.slow
def test_closed_eyes_of_a_real_clip(media: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """She keeps her eyes closed for seconds; nobody else is there."""
    monkeypatch.undo()
    found = find_faces(
        [media / "talking" / "d14.mp4"], faces=FaceAnalyzer(), mesh=FaceMesh(), max_frames=14, count=3
    )
    assert len(found.kept) == 3
    assert min(k.quality.eyes for k in found.kept) > 0.27
    assert any("eyes closed" in r.reason for r in found.rejected)
    assert max(abs(k.quality.yaw) for k in found.kept) < 20
