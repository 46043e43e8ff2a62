"""References are opened before any long work; all that cannot be read is named at once."""

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from pvchat.errors import UserError
from pvchat.synthesis.reference_files import opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A photo and a clip that are good, and what is not: empty, a text, cut off."""
    noise = np.random.default_rng(0).integers(0, 255, (8, 64, 64, 3), np.uint8)
    Image.fromarray(noise[0]).save(tmp_path / "good.png")
    with av.open(str(tmp_path / "good.mp4"), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width = stream.height = 64
        for pixels in noise:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("This is no video.")
    for name in ("good.png", "good.mp4"):
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name.replace("good", "half")).write_bytes(whole[: len(whole) // 2])
    return tmp_path


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("empty.mp4", r"empty\.mp4' is empty"),
        ("text.mp4", r"text\.mp4' is not a video that can be read"),
        ("half.mp4", r"half\.mp4' is truncated"),
        ("half.png", r"half\.png' is not a photo that can be read"),
        ("none.mp4", r"none\.mp4' does not exist"),
    ],
)
def test_what_cannot_be_read(name: str, message: str, folder: Path) -> None:
    with pytest.raises(UserError, match=message):
        opened([[folder / "good.png", folder / name]])


def test_all_are_named_at_once(folder: Path) -> None:
    (folder / "nothing else").mkdir()
    (folder / "text.mp4").rename(folder / "nothing else" / "text.mp4")
    with pytest.raises(UserError, match=r"^3 references cannot be read: .*empty.*half\.png.*text"):
        opened([[folder / "empty.mp4", folder / "half.png"], [folder / "nothing else", folder / "empty.mp4"]])


def test_of_a_folder_the_good_ones_are_taken(folder: Path) -> None:
    (found,) = opened([[folder]])
    assert [file.name for file in found.files] == ["good.mp4", "good.png"]
    assert len(found.notes) == 4
    assert "half.png' is not a photo" in found.notes[2]
    assert found.notes[2].endswith("It is left out.")
    with pytest.raises(UserError, match=r"half\.png"):  # who names it means it
        opened([[folder, folder / "half.png"]])
