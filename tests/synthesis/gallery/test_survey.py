"""Only what is new is embedded, what is gone goes, and neither Ctrl-C nor a second run does harm."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from colour_gallery import GREY, ColourEmbedder, paint, red

from pvchat.errors import UserError
from pvchat.synthesis.gallery import GalleryRetriever

Retrieve = Callable[..., GalleryRetriever]


def test_only_what_is_new_or_changed(root: Path, retrieve: Retrieve) -> None:
    for shade in (10, 20, 30):
        paint(root / f"{shade}.png", (shade, 0, 0))
    embedder = ColourEmbedder()
    retriever = retrieve(embedder)
    assert (retriever.refresh().embedded, retriever.refresh().embedded, embedder.seen) == (3, 0, 3)

    paint(root / "10.png", (11, 0, 0))  # changed
    (root / "20.png").rename(root / "twenty.png")  # moved
    os.utime(root / "30.png")  # touched
    paint(root / "more" / "40.png", (40, 0, 0))  # new
    report = retrieve(embedder).refresh()
    assert (report.pictures, report.embedded, report.gone, embedder.seen) == (4, 2, 1, 5)
    assert [n.key for n in retriever.nearest(red(0), 9, farther_than=0)] == [
        "10.png", "twenty.png", "30.png", "more/40.png"]  # fmt: skip
    assert retriever.nearest(red(0), 1, farther_than=0)[0].distance == pytest.approx(0.11)


def test_what_is_gone_disappears(root: Path, retrieve: Retrieve) -> None:
    gone, kept = paint(root / "gone.png", (10, 0, 0)), paint(root / "kept.png", (50, 0, 0))
    (root / "copy.png").write_bytes(kept.read_bytes())
    retriever = retrieve()
    assert len(retriever.nearest(red(0), 9, farther_than=0)) == 3
    gone.unlink()
    kept.unlink()
    assert retriever.refresh().gone == 2
    assert [n.key for n in retriever.nearest(red(0), 9, farther_than=0)] == ["copy.png"]
    assert len(retriever.search) == 1


def test_a_gallery_that_is_not_there_now_costs_nothing(root: Path, retrieve: Retrieve) -> None:
    picture = paint(root / "a.png", (10, 0, 0))
    embedder = ColourEmbedder()
    retrieve(embedder).refresh()
    picture.rename(root.parent / "a.png")  # a disk that is not mounted
    with pytest.raises(UserError, match="has none"):
        retrieve(embedder).refresh()
    (root.parent / "a.png").rename(picture)
    assert retrieve(embedder).refresh().embedded == 0
    assert embedder.seen == 1


def test_broken_ones_are_named_counted_and_left_out(root: Path, retrieve: Retrieve) -> None:
    paint(root / "fine.png", (10, 0, 0))
    paint(root / "nobody.png", GREY)
    (root / "torn.jpg").write_bytes(b"\xff\xd8\xff no more")
    (root / "zero.webp").touch()
    (root / "notes.txt").write_text("not looked at")
    embedder = ColourEmbedder()
    for _ in range(2):
        report = retrieve(embedder).refresh()
        assert list(report.broken) == ["torn.jpg", "zero.webp"]
        assert "2 left out: torn.jpg (clip" in str(report)
        assert "not a photo that can be read" in report.broken["torn.jpg"]
    assert embedder.seen == 2
    paint(root / "torn.jpg", (20, 0, 0))
    torn_too = root / "torn too.jpg"
    torn_too.write_bytes(b"\xff\xd8")
    assert list(retrieve(embedder).refresh().broken) == ["torn too.jpg", "zero.webp"]
    torn_too.unlink()
    (root / "zero.webp").unlink()
    assert retrieve(embedder).refresh().broken == {}


def test_ctrl_c_goes_on_where_it_was(root: Path, retrieve: Retrieve) -> None:
    for shade in range(10):
        paint(root / f"{shade}.png", (shade, 0, 0))
    with pytest.raises(KeyboardInterrupt):
        retrieve(ColourEmbedder(fails_at=6)).refresh()
    embedder = ColourEmbedder()
    assert retrieve(embedder).refresh().embedded == embedder.seen == 4
    assert len(retrieve().nearest(red(0), 99, farther_than=0)) == 10


def test_two_runs_at_a_time(root: Path, retrieve: Retrieve, caplog: pytest.LogCaptureFixture) -> None:
    """The second waits, says so, and embeds nothing."""
    for shade in range(6):
        paint(root / f"{shade}.png", (shade, 0, 0))

    class Slow(ColourEmbedder):
        def embed(self, frames: np.ndarray) -> list[np.ndarray]:
            time.sleep(0.05)
            return super().embed(frames)

    embedders = [Slow(), Slow()]
    with ThreadPoolExecutor(2) as pool:
        reports = list(pool.map(lambda e: retrieve(e).refresh(), embedders))
    assert sorted(r.embedded for r in reports) == sorted(e.seen for e in embedders) == [0, 6]
    assert "waiting for it" in caplog.text
    assert len(retrieve().store.ids()) == 6


SCRIPT = """
import sys, time
from colour_gallery import ColourEmbedder
from pvchat.synthesis.gallery import FolderGallery, GalleryRetriever

class Slow(ColourEmbedder):
    def embed(self, frames):
        time.sleep(.1)
        print("one", flush=True)
        return super().embed(frames)

GalleryRetriever(gallery=FolderGallery(sys.argv[1]), embedder=Slow(), store=sys.argv[2]).refresh()
"""


@pytest.mark.slow
def test_killed_while_another_waits(root: Path, retrieve: Retrieve, tmp_path: Path) -> None:
    """kill -9 frees the lock; the other goes on and embeds the rest."""
    for shade in range(60):
        paint(root / f"{shade}.png", (shade, 0, 0))
    tests = Path(__file__).parents[2]
    path = os.pathsep.join([str(tests), os.environ.get("PYTHONPATH", "")])
    arguments = [sys.executable, "-c", SCRIPT, str(root), str(tmp_path / "store")]
    with subprocess.Popen(
        arguments, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
    ) as child:
        assert child.stdout
        for _ in range(10):
            assert child.stdout.readline() == "one\n"
        embedder = ColourEmbedder()
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(retrieve(embedder).refresh)
            time.sleep(0.5)
            assert not waiting.done()
            child.kill()
            assert waiting.result(30).pictures == 60
    assert 20 < embedder.seen < 51
    assert len(retrieve().store.ids()) == 60
