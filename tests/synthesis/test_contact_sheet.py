"""The contact sheet shows every clip, escapes what users named, and needs no other file."""

import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFont
from tiny import make_corpus

from pvchat.datamodules.manifest import read_manifest
from pvchat.synthesis.contact_sheet import FONT, FRAMES, THUMB_PX, Reject, Sheet, write_contact_sheet


class Words(HTMLParser):
    """The text of a page, and its pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.text: list[str] = []
        self.pictures: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.pictures += [str(value) for name, value in attrs if name == "src"]

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_every_clip_and_reject_is_on_the_page(tmp_path: Path) -> None:
    records = read_manifest(make_corpus(tmp_path / "corpus"))
    made = np.zeros((2, 60, 40, 3), np.uint8)
    rejects = [Reject("clip <b>9</b>", "the face is .71 away & too far", made)]
    page = write_contact_sheet(
        tmp_path, records, Sheet("A <script>", {records[0].id: "gate .31"}, rejects, ["Seed 7."])
    )
    words = Words()
    words.feed(page.read_text(encoding="utf-8"))
    text = " ".join(words.text)
    for said in (*(r.id for r in records), "clip <b>9</b>", ".71 away & too far", "gate .31", "Seed 7."):
        assert said in text
    assert not words.tags & {"script", "b"}
    assert not re.search(r"<\w+>", re.sub(r"</?\w[^>]*>", "", page.read_text()))
    assert len(words.pictures) == len(records) + 1
    first = Image.open(io.BytesIO(base64.b64decode(words.pictures[0].partition(",")[2])))
    assert first.size == (FRAMES * THUMB_PX, THUMB_PX)
    picture = Image.open(page.with_suffix(".png"))
    assert picture.height >= -(-(len(records) + 1) // 3) * THUMB_PX
    count = sum(len(r.qa) for r in records if r.split == "train")
    assert f"{count} (" in text


def test_a_row_is_a_scene(tmp_path: Path) -> None:
    records = [
        replace(r, background=f"beach/{n // 4}")
        for n, r in enumerate(read_manifest(make_corpus(tmp_path / "corpus"))[:8])
    ]
    page = write_contact_sheet(tmp_path, records, Sheet("A"))
    assert round(Image.open(page.with_suffix(".png")).width / (FRAMES * THUMB_PX)) == 4


def test_nothing_is_left_where_it_fails(tmp_path: Path) -> None:
    records = read_manifest(make_corpus(tmp_path / "corpus"))
    records[0].path.write_bytes(b"")
    with pytest.raises(ValueError, match="is empty"):
        write_contact_sheet(tmp_path / "out", records, Sheet("A"))
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_names_keep_their_letters(tmp_path: Path) -> None:
    """A letter that a font does not know is one and the same box."""
    name = "Zoë müller"
    record = read_manifest(make_corpus(tmp_path / "corpus"))[0]
    asked = replace(record.qa[0], question=f"Is <{name}> here?", subjects=(name,))
    page = write_contact_sheet(
        tmp_path, [replace(record, qa=(asked,), presence={name: True})], Sheet("names")
    )
    assert "Is Zoë müller here?" in page.read_text(encoding="utf-8")
    font = ImageFont.truetype(FONT, 20)
    assert len({bytes(font.getmask(letter)) for letter in "ëüŻ\ufffe"}) == 4
