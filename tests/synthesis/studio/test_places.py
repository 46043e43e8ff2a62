from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pvchat.errors import UserError
from pvchat.synthesis.studio.places import DrawnPlaces, FolderPlaces


@pytest.mark.parametrize(
    ("stem", "phrase"),
    [
        ("my office", "in my office"),
        ("My_garden", "in my garden"),
        ("on a pier", "on a pier"),
        ("Paris", "in Paris"),
        ("garden-shed", "in the garden shed"),
        ("office2", "in a small office"),
    ],
)
def test_places_of_a_folder_read_well(tmp_path: Path, stem: str, phrase: str) -> None:
    Image.new("RGB", (40, 30), (200, 10, 10)).save(tmp_path / f"{stem}.png")
    if stem == "office2":
        (tmp_path / "places.json").write_text('{"office2": "in a small office"}')
    places = FolderPlaces(tmp_path)
    assert places.names == (stem,)
    assert places.phrase(stem) == phrase


def test_pictures_fill_the_frame_and_vary_with_the_seed(tmp_path: Path) -> None:
    ramp = np.linspace(0, 255, 90, dtype=np.uint8)
    Image.fromarray(np.stack([np.tile(ramp, (60, 1))] * 3, -1)).save(tmp_path / "ramp.png")
    places = FolderPlaces(tmp_path)
    plates = [places.plates("ramp", seed=s, num_frames=4, fps=8, size_px=64) for s in (1, 1, 2)]
    assert plates[0].shape == (1, 64, 64, 3)
    assert np.array_equal(plates[0], plates[1])
    assert not np.array_equal(plates[0], plates[2])
    Image.new("RGB", (90, 60)).save(tmp_path / "ramp.png")
    assert FolderPlaces(tmp_path).fingerprint != places.fingerprint


def test_folders_that_are_of_no_use(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="must hold pictures or clips"):
        FolderPlaces(tmp_path)
    Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
    (tmp_path / "places.json").write_text('{"b": "in b"}')
    with pytest.raises(UserError, match="names b"):
        FolderPlaces(tmp_path)


def test_drawn_places_have_phrases() -> None:
    drawn = DrawnPlaces()
    assert len(drawn.names) >= 12
    assert drawn.phrase("beach") == "on a beach"
