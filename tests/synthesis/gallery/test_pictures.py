"""A folder as a gallery, with real files."""

from pathlib import Path

import pytest
from colour_gallery import paint
from tiny import draw, save_clip

from pvchat.errors import UserError
from pvchat.synthesis.gallery import FolderGallery
from pvchat.synthesis.gallery.pictures import CLIP_FRAMES


def test_photos_and_clips_below_a_folder(root: Path) -> None:
    paint(root / "b" / "é.PNG", (1, 2, 3))
    save_clip(root / "a.mp4", [draw(["ann"], "red", "inside")] * 10)
    paint(root / ".thumbnails" / "c.png", (1, 2, 3))
    paint(root / ".hidden.png", (1, 2, 3))
    (root / "d.txt").write_text("no picture")
    (root / "folder.jpg").mkdir()
    gallery = FolderGallery(root)
    assert [p.key for p in gallery.pictures()] == ["a.mp4", "b/é.PNG"]
    assert [p.source for p in gallery.pictures()] == ["a.mp4", "b/é.PNG"]
    assert [p.source for p in FolderGallery(root, one_person_per_folder=True).pictures()] == ["a.mp4", "b"]
    assert gallery.read("b/é.PNG").tolist()[0][0][0] == [1, 2, 3]
    assert gallery.read("b/é.PNG").shape[0] == 1
    assert gallery.read("a.mp4").shape[0] == CLIP_FRAMES


def test_content_is_the_bytes(root: Path) -> None:
    first = paint(root / "a.png", (1, 2, 3))
    (root / "b.png").write_bytes(first.read_bytes())
    paint(root / "c.png", (3, 2, 1))
    gallery = FolderGallery(root)
    assert gallery.content("a.png") == gallery.content("b.png") != gallery.content("c.png")


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a gallery is a folder of photos and clips: .*nowhere is none"):
        FolderGallery(tmp_path / "nowhere")
