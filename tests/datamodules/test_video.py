"""Frames: the right ones, upright, by both decoders; and one sentence for every bad file."""

import struct
import sys
import wave
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
from PIL import Image

from pvchat.datamodules import video
from pvchat.datamodules.video import (
    clip_times,
    decode,
    frames_at,
    is_photo,
    sample_indices,
    spread_times,
)
from pvchat.errors import UserError

WriteVideo = Callable[..., Path]
NO_DECORD = pytest.mark.skipif(find_spec("decord") is None, reason="decord has no wheel for this machine")
BACKENDS = [pytest.param("decord", marks=NO_DECORD), "pyav"]
TIMES_MS = [0, 40, 80, 500, 520, 540, 1000, 1500, 1510, 1520, 2000, 2040, 2080, 2500, 3000, 3300]


@pytest.fixture
def vfr(tmp_path: Path, write_video: WriteVideo) -> Path:
    """Variable frame rate; frame n has level 15 n and is shown from TIMES_MS[n] on."""
    return write_video(tmp_path / "vfr.mp4", [15 * n for n in range(16)], times_ms=TIMES_MS)


def levels(frames: np.ndarray) -> list[int]:
    """Number of each frame of ``vfr``, read from its grey level."""
    return np.round(frames.mean((1, 2, 3)) / 15).astype(int).tolist()


@pytest.mark.parametrize(
    ("count", "num_frames", "middle"),
    [
        (80, 8, [4, 14, 24, 34, 44, 53, 63, 73]),
        (8, 8, [0, 1, 2, 3, 4, 4, 5, 6]),
        (3, 8, [0, 0, 0, 1, 1, 1, 2, 2]),
        (1, 4, [0, 0, 0, 0]),
        (100, 1, [49]),
    ],
)
def test_sample_indices(count: int, num_frames: int, middle: list[int]) -> None:
    """seg = (n - 1) / T; int(seg / 2) + round(seg * k), as the released code has it."""
    segment = (count - 1) / num_frames
    assert middle == [int(segment / 2) + int(np.round(segment * k)) for k in range(num_frames)]
    assert sample_indices(count, num_frames, "middle") == middle
    assert sample_indices(count, num_frames, "first") == [0, *middle[1:]]
    with pytest.raises(UserError, match="num_frames must be >= 1: got 0"):
        sample_indices(10, 0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_variable_frame_rate(vfr: Path, backend: video.Backend) -> None:
    clip = decode(vfr, num_frames=16, backend=backend, frame_policy="middle")
    expected = sample_indices(16, 16, "middle")
    assert levels(clip.frames) == expected
    assert clip.times.tolist() == pytest.approx([TIMES_MS[n] / 1000 for n in expected])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("start_s", "end_s", "shown"),
    [
        (0.5, 0.6, [3, 4, 5]),
        (0.3, 0.51, [2, 3]),  # frame 2 is still on show at 0.3 s
        (0.6, 0.9, [5]),  # between two frames
        (1.5, 2.0, [7, 8, 9]),
        (2.6, None, [13, 14, 15]),
        (None, 0.08, [0, 1]),
        (3.31, 3.34, [15]),
    ],
)
def test_frame_shown_at_a_time(
    vfr: Path, backend: video.Backend, start_s: float | None, end_s: float | None, shown: list[int]
) -> None:
    clip = decode(vfr, num_frames=len(shown) * 4, start_s=start_s, end_s=end_s, backend=backend)
    assert sorted(set(levels(clip.frames))) == shown
    assert set(clip.times.round(3)) == {TIMES_MS[n] / 1000 for n in shown}


@NO_DECORD
def test_decoders_agree(tmp_path: Path, write_video: WriteVideo, vfr: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 96, 3), dtype=np.uint8)
    noisy = write_video(tmp_path / "noise.mp4", [0] * 30, image=noise, size=(96, 64))
    for path in (vfr, noisy):
        one, other = decode(path, num_frames=5, backend="decord"), decode(path, num_frames=5, backend="pyav")
        assert np.array_equal(one.frames, other.frames)
        assert np.array_equal(one.times, other.times)
        assert one.key == other.key


def test_pyav_is_the_fallback(vfr: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "decord", None)  # as if not installed
    assert levels(decode(vfr, num_frames=16).frames) == sample_indices(16, 16)
    with pytest.raises(UserError, match=r"vfr.mp4' cannot be decoded by decord\. Use"):
        decode(vfr, num_frames=2, backend="decord")


def test_a_decord_with_other_times_is_not_believed(vfr: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many frames, but at a constant rate (and black): not those asked for."""

    class Reader:
        def __init__(self, path: str) -> None:
            self.times = np.linspace(0, 3.3, 16)

        def __len__(self) -> int:
            return len(self.times)

        def get_frame_timestamp(self, indices: range) -> np.ndarray:
            return np.stack([self.times, self.times], 1)[: len(indices)]

        def get_batch(self, indices: list[int]) -> SimpleNamespace:
            return SimpleNamespace(asnumpy=lambda: np.zeros((len(indices), 32, 64, 3), np.uint8))

    logging = SimpleNamespace(QUIET=0, set_level=lambda level: None)
    monkeypatch.setitem(sys.modules, "decord", SimpleNamespace(VideoReader=Reader, logging=logging))
    assert levels(decode(vfr, num_frames=16).frames) == sample_indices(16, 16)


def test_widths_decord_cannot_copy(tmp_path: Path, write_video: WriteVideo) -> None:
    """decord refuses frames whose rows it pads; PyAV reads them."""
    path = write_video(tmp_path / "narrow.mp4", [15 * n for n in range(16)], size=(46, 30))
    clip = decode(path, num_frames=16)
    assert clip.frames.shape == (16, 30, 46, 3)
    assert levels(clip.frames) == sample_indices(16, 16)


def test_formats_without_presentation_times(tmp_path: Path, write_video: WriteVideo) -> None:
    path = write_video(tmp_path / "old.avi", [0, 60, 120, 180], codec="mpeg4")
    clip = decode(path, num_frames=4, frame_policy="middle")
    assert np.abs(clip.frames.mean((1, 2, 3)) - [0, 60, 120, 120]).max() < 3
    assert clip.times.tolist() == pytest.approx([0, 0.04, 0.08, 0.08])


def set_matrix(path: Path, a: int, b: int, c: int, d: int) -> None:
    """Pixel (x, y) is to be shown at (a x + c y, b x + d y)."""
    data = path.read_bytes()
    at = data.index(b"tkhd") + 44  # the matrix of the track header, 16.16 fixed point
    matrix = struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    path.write_bytes(data[:at] + matrix + data[at + 36 :])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_rotation_metadata(
    tmp_path: Path, write_video: WriteVideo, backend: video.Backend, degrees: int
) -> None:
    """A phone held upright writes lying frames and how to turn them (here: clockwise)."""
    lying = np.zeros((32, 64, 3), np.uint8)
    lying[:16, :32] = 255  # top left is white
    path = write_video(tmp_path / "phone.mp4", [0] * 3, image=lying, size=(64, 32))
    sin, cos = {0: (0, 1), 90: (1, 0), 180: (0, -1), 270: (-1, 0)}[degrees]
    set_matrix(path, cos, sin, -sin, cos)
    frame = decode(path, num_frames=1, backend=backend).frames[0]
    upright = np.rot90(lying, -degrees // 90)
    assert frame.shape == upright.shape
    assert np.abs(frame.astype(int) - upright).mean() < 8


def test_frames_at_times(vfr: Path) -> None:
    times = clip_times(vfr)
    assert levels(np.stack(list(frames_at(vfr, times)))) == list(range(16))
    assert levels(np.stack(list(frames_at(vfr, times[[2, 9, 15]])))) == [2, 9, 15]
    spread = spread_times(vfr, fps=1, at_most=200)  # nearest to .41, 1.24, 2.06, 2.89
    assert spread.tolist() == pytest.approx([0.5, 1.0, 2.08, 3.0])
    assert spread_times(vfr, fps=99, at_most=2).tolist() == pytest.approx([1.0, 2.5])


def test_frames_far_apart_are_key_frames_and_sought(
    tmp_path: Path, write_video: WriteVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The encoder puts a key frame every 250 frames; 7.5 s and 22.5 s would be the middles."""
    path = write_video(tmp_path / "long.mp4", [75 * (n // 250) for n in range(751)])
    times = spread_times(path, fps=8, at_most=2)
    assert times.tolist() == pytest.approx([10.0, 20.0])
    read = []
    seconds = video._seconds
    monkeypatch.setattr(video, "_seconds", lambda frame: read.append(frame) or seconds(frame))
    assert levels(np.stack(list(frames_at(path, times)))) == [5, 10]
    assert len(read) < 10


def test_frames_at_are_upright(tmp_path: Path, write_video: WriteVideo) -> None:
    path = write_video(tmp_path / "phone.mp4", [0] * 60, image=np.zeros((32, 64, 3), np.uint8))
    set_matrix(path, 0, 1, -1, 0)
    assert [f.shape for f in frames_at(path, [0.0, 2.0])] == [(64, 32, 3)] * 2


def test_frames_of_a_photo_and_of_what_is_none(tmp_path: Path) -> None:
    Image.new("RGB", (30, 20), (9, 8, 7)).save(tmp_path / "a.png")
    assert spread_times(tmp_path / "a.png", fps=8, at_most=200).tolist() == [0.0]
    (frame,) = frames_at(tmp_path / "a.png", [0.0])
    assert frame.shape == (20, 30, 3)
    (tmp_path / "b.png").write_bytes(b"no")
    (tmp_path / "c.mp4").write_bytes(b"no")
    for name in ("b.png", "c.mp4", "d.mp4"):
        with pytest.raises(UserError, match=name):
            spread_times(tmp_path / name, fps=8, at_most=200)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("matrix", [(-1, 0, 0, 1), (1, 0, 0, -1), (0, 1, 1, 0), (0, -1, -1, 0)])
def test_mirrored_metadata(
    tmp_path: Path, write_video: WriteVideo, backend: video.Backend, matrix: tuple[int, int, int, int]
) -> None:
    """A front camera may write a mirrored image and how to mirror it back."""
    stored = np.zeros((32, 64, 3), np.uint8)
    stored[:16, :32], stored[16:, :32] = 255, 128
    path = write_video(tmp_path / "selfie.mp4", [0] * 3, image=stored, size=(64, 32))
    set_matrix(path, *matrix)
    frames = decode(path, num_frames=2, backend=backend).frames
    shown = {
        (-1, 0, 0, 1): stored[:, ::-1],
        (1, 0, 0, -1): stored[::-1],
        (0, 1, 1, 0): stored.swapaxes(0, 1),
        (0, -1, -1, 0): stored.swapaxes(0, 1)[::-1, ::-1],
    }[matrix]
    assert frames.shape == (2, *shown.shape)
    assert np.abs(frames.astype(int) - shown).mean() < 8


def test_photo_with_exif_orientation(tmp_path: Path) -> None:
    lying = np.zeros((20, 40, 3), np.uint8)
    lying[:, :20] = (255, 0, 0)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise
    Image.fromarray(lying).save(tmp_path / "photo.JPG", exif=exif, quality=95)
    clip = decode(tmp_path / "photo.JPG", num_frames=3)
    assert clip.frames.shape == (3, 40, 20, 3)
    assert clip.times.tolist() == [0, 0, 0]
    assert clip.frames[0, 5].mean(0)[0] > 240 > 10 > clip.frames[0, 35].mean(0)[0]
    with pytest.raises(UserError, match=r"photo.JPG' is a photo and takes no time range\."):
        decode(tmp_path / "photo.JPG", num_frames=1, end_s=1.0)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "1"])
def test_photos_of_any_mode(tmp_path: Path, mode: str) -> None:
    Image.new("RGB", (8, 6), (255, 255, 255)).convert(mode).save(tmp_path / "a.png")
    frames = decode(tmp_path / "a.png", num_frames=2).frames
    assert frames.shape == (2, 6, 8, 3)
    assert frames.min() == 255


def test_short_clip_repeats_frames(tmp_path: Path, write_video: WriteVideo) -> None:
    clip = decode(write_video(tmp_path / "short.mp4", [0, 100, 200]), num_frames=8)
    assert clip.frames.shape == (8, 32, 64, 3)
    assert clip.times.tolist() == pytest.approx([0, 0, 0, 0.04, 0.04, 0.04, 0.08, 0.08])


def test_max_px(tmp_path: Path, write_video: WriteVideo) -> None:
    path = write_video(tmp_path / "wide.mp4", [90] * 2, size=(200, 100))
    assert decode(path, num_frames=1, max_px=50).frames.shape == (1, 25, 50, 3)
    assert decode(path, num_frames=1, max_px=None).frames.shape == (1, 100, 200, 3)
    Image.new("RGB", (30, 300)).save(tmp_path / "tall.png")
    assert decode(tmp_path / "tall.png", num_frames=1, max_px=100).frames.shape == (1, 100, 10, 3)


def test_key_names_bytes_and_settings(tmp_path: Path, write_video: WriteVideo) -> None:
    path = write_video(tmp_path / "a.mp4", [0, 50, 100])
    key = decode(path, num_frames=2).key
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(path.read_bytes())
    assert decode(copy, num_frames=2).key == key
    for other in ({"num_frames": 3}, {"max_px": 16}, {"end_s": 0.05}, {"frame_policy": "middle"}):
        assert decode(path, **{"num_frames": 2, **other}).key != key  # type: ignore[arg-type]
    write_video(copy, [0, 50, 101])
    assert decode(copy, num_frames=2).key != key


def test_bytes_are_hashed_once(
    tmp_path: Path, write_video: WriteVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_video(tmp_path / "a.mp4", [0, 50, 100])
    first = video.content_hash(path)
    with monkeypatch.context() as patch:
        patch.setattr("hashlib.file_digest", lambda *_: pytest.fail("read again"))
        assert video.content_hash(path) == first
    write_video(path, [0, 50, 100, 150])
    assert video.content_hash(path) != first


def bad_file(kind: str, folder: Path, write_video: WriteVideo) -> Path:
    path = folder / f"{kind}.mp4"
    whole = write_video(folder / "whole.mp4", range(100), options={"movflags": "faststart"}).read_bytes()
    if kind == "folder":
        path.mkdir()
    elif kind == "empty":
        path.touch()
    elif kind == "text":
        path.write_text("No video at all.\n" * 50)
    elif kind == "truncated":
        path.write_bytes(whole[: int(0.9 * len(whole))])
    elif kind == "cut in a frame":
        path.write_bytes(whole[:-1])
    elif kind == "no index":  # the index comes last without faststart
        path.write_bytes(write_video(folder / "late.mp4", range(100)).read_bytes()[:2000])
    elif kind == "no frames":
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=25)
            stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
            container.start_encoding()
    elif kind == "audio only":
        with av.open(str(path), "w") as container:
            stream = container.add_stream("aac", rate=16000)
            sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            sound.sample_rate = 16000
            container.mux(stream.encode(sound))
            container.mux(stream.encode())
    return path


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("missing", r"does not exist\. Check the path"),
        ("folder", r"is a folder, not a video or photo\. Name a file in it"),
        ("empty", r"is empty \(0 bytes\)\. Copy it again"),
        ("text", r"is not a video that can be read \(Invalid data found .*\)\. Save videos as mp4.*"),
        ("truncated", r"is truncated: \d\d of 100 frames are there\. Copy or record it again"),
        ("cut in a frame", r"is truncated: 99 of 100 frames are there\. Copy or record it again"),
        ("no index", r"is not a video that can be read \(.*\)\. Save videos as mp4.*"),
        ("no frames", r"(holds no frames|holds no video \(audio only, or damaged\))\. .*"),
        ("audio only", r"holds no video \(audio only, or damaged\)\. Choose a file that shows a picture"),
    ],
)
def test_bad_files(tmp_path: Path, write_video: WriteVideo, kind: str, what: str) -> None:
    path = bad_file(kind, tmp_path, write_video)
    with pytest.raises(UserError, match=rf"clip '.*{kind}\.mp4' {what}\.$") as caught:
        decode(path, num_frames=2)
    assert "\n" not in str(caught.value)


def test_unreadable(tmp_path: Path, write_video: WriteVideo, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "secret.mp4", [0])

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(UserError, match=r"clip '.*secret.mp4' cannot be read \(Permission denied\)\."):
        decode(path, num_frames=2)


def test_damaged_photo(tmp_path: Path) -> None:
    Image.effect_noise((200, 200), 50).save(tmp_path / "whole.jpg")
    cut = tmp_path / "cut.jpg"
    cut.write_bytes((tmp_path / "whole.jpg").read_bytes()[:3000])
    with pytest.raises(UserError, match=r"cut.jpg' is not a photo that can be read"):
        decode(cut, num_frames=2)


@pytest.mark.parametrize("name", ["a.gif", "a.tiff", "a.webp", "a", "a.jfif"])
def test_photos_of_any_format_and_name(tmp_path: Path, name: str) -> None:
    format_ = {"": "png", ".jfif": "jpeg"}.get(Path(name).suffix)
    Image.new("RGB", (8, 6), (255, 255, 255)).save(tmp_path / name, format=format_)
    assert is_photo(tmp_path / name)
    assert decode(tmp_path / name, num_frames=2).frames.shape == (2, 6, 8, 3)


def test_what_moves_is_no_photo(tmp_path: Path, write_video: WriteVideo) -> None:
    first, *others = (Image.new("L", (8, 6), level) for level in (0, 90, 255))
    first.save(tmp_path / "a.gif", save_all=True, append_images=others, duration=100)
    write_video(tmp_path / "film.mp4", [0, 60]).rename(tmp_path / "film")
    (tmp_path / "notes").write_text("no picture")
    assert not any(is_photo(tmp_path / name) for name in ("a.gif", "film", "notes", "missing"))
    assert clip_times(tmp_path / "film").tolist() == pytest.approx([0, 0.04])
    assert len(clip_times(tmp_path / "a.gif")) == 3


def test_an_empty_file_is_called_so_everywhere(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    with pytest.raises(UserError, match=r"a.mp4' is empty \(0 bytes\)\. Copy it again"):
        clip_times(tmp_path / "a.mp4")


def test_sound_is_no_photo(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "sound.png"), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(b"00" * 100)
    with pytest.raises(UserError, match=r"sound.png' is not a photo that can be read"):
        decode(tmp_path / "sound.png", num_frames=2)


@pytest.mark.parametrize(("start_s", "end_s"), [(9.0, None), (0.0, 9.0), (1.0, 0.5), (-1.0, 1.0)])
def test_time_range_outside_the_clip(vfr: Path, start_s: float, end_s: float | None) -> None:
    with pytest.raises(UserError, match=r"vfr.mp4' has no time range .*: it lasts 3\.\d\d s\. Choose"):
        decode(vfr, num_frames=2, start_s=start_s, end_s=end_s)


@NO_DECORD
def test_real_clips(media: Path) -> None:
    """Real encoders: B-frames, edit lists, other start times."""
    for path in [
        media / "talking" / "d12.mp4",
        media / "talking" / "d18.mp4",
        media / "street" / "event.mp4",
    ]:
        one, other = decode(path, num_frames=2, backend="decord"), decode(path, num_frames=2, backend="pyav")
        assert np.array_equal(one.frames, other.frames), path.name
