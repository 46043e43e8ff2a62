"""Pages: one file, well-formed, and what is written into them stays text."""

import base64
import io
import re
from html.parser import HTMLParser

from matplotlib.figure import Figure
from PIL import Image

from pvchat.reporting.page import card, drawing, heading, paragraph, render_page, table
from pvchat.statistics import Interval

EVIL = "<script>alert(1)</script>"


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]


def test_nothing_is_fetched_and_no_text_becomes_markup() -> None:
    page = render_page(
        EVIL,
        [heading(EVIL), paragraph(EVIL, kind="warning"), table([EVIL], [[EVIL]]), drawing(plot(), alt=EVIL)],
    )
    tags = Tags(page)
    assert "script" not in tags.seen
    assert page.count("&lt;script&gt;") == 7
    assert tags.links
    assert all(link.startswith("data:image/") for link in tags.links)


def plot() -> Figure:
    figure = Figure(figsize=(2, 1))
    figure.subplots().plot([0, 1])
    return figure


def test_numbers_stand_to_the_right_with_their_interval() -> None:
    made = table(["", "AUC"], [["main", Interval(0.9, 0.8, 0.95, 0.95, 9)], ["text_only", None]], digits=2)
    assert (
        '<td class="words">main</td><td class="number">0.90 <span class="range">[0.80, 0.95]</span></td>'
        in made
    )
    assert '<td class="number">-</td>' in made


def test_pictures_are_inside() -> None:
    made = card(Image.new("RGB", (8, 4), "red"), "<b>kept</b>")
    data = re.search(r"base64,([^\"]+)", made)
    assert data is not None
    assert Image.open(io.BytesIO(base64.b64decode(data[1]))).size == (8, 4)
    assert "<b>kept</b>" in made
    assert "<img" not in card(None, "no picture")


def test_a_bar_draws_its_interval() -> None:
    made = table(["AUC"], [[Interval(0.5, 0.25, 1.0, 0.95, 9)]], bars=True)
    assert 'd="M30.0 6.0H120"' in made or 'd="M30.0 6.0H120.0"' in made
    assert 'cx="60.0"' in made
    assert "<svg" not in table(["gain"], [[Interval(0.5, -0.2, 1.0, 0.95, 9)]], bars=True)
