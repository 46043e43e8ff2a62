from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from pvchat.synthesis.backgrounds import background
from pvchat.synthesis.writing import FPS, write_photo, write_video

Frames = npt.NDArray[np.uint8]


@pytest.fixture
def frames() -> Frames:
    ramp = np.linspace(0, 255, 64)[None, :, None] * np.ones((64, 1, 3))
    return np.stack([np.roll(ramp, 4 * t, 1) for t in range(10)]).astype(np.uint8)


def test_what_is_written_is_read(tmp_path: Path, frames: Frames) -> None:
    write_video(tmp_path / "new" / "x.mp4", frames)
    with av.open(str(tmp_path / "new" / "x.mp4")) as container:
        assert container.streams.video[0].average_rate == FPS
        read = np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])
    assert np.abs(read.astype(int) - frames).mean() < 4


def test_same_frames_same_bytes(tmp_path: Path) -> None:
    """Whatever else lies in memory: x264's look-ahead reads what it did not write."""
    for seed in (1, 3):
        place = background("brick wall", seed=seed, size_px=256)
        frames = np.stack([place[t : t + 224, 2 * t : 2 * t + 224] for t in range(10)])
        found = set()
        for _ in range(5):
            for _ in range(20):
                _ = [np.random.bytes(np.random.randint(1000, 400_000)) for _ in range(3)]
            write_video(tmp_path / "x.mp4", frames)
            found.add((tmp_path / "x.mp4").read_bytes())
        assert len(found) == 1


def test_without_x264(tmp_path: Path, frames: Frames, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(av, "codecs_available", {"mpeg4"})
    write_video(tmp_path / "x.mp4", frames)
    with av.open(str(tmp_path / "x.mp4")) as container:
        assert container.streams.video[0].codec_context.name == "mpeg4"


def test_a_failure_leaves_nothing(tmp_path: Path, frames: Frames) -> None:
    write_photo(tmp_path / "x.png", frames[0])
    assert np.array_equal(np.asarray(Image.open(tmp_path / "x.png")), frames[0])
    with pytest.raises(ValueError, match="shape"):
        write_video(tmp_path / "y.mp4", frames[..., :2])
    assert [p.name for p in tmp_path.iterdir()] == ["x.png"]
