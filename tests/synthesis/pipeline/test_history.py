from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from pvchat.synthesis.gate import Verdict
from pvchat.synthesis.pipeline.history import History, Score, fingerprint, read_history
from pvchat.synthesis.roles import Adapter

HISTORY = History(
    "train-000-0",
    "k",
    "s",
    "tom",
    Adapter("drawn", "1", "CC0-1.0", True, "f"),
    3,
    "nod",
    ("photo",),
    False,
    {
        "tom": Score.of(Verdict(False, 0.71234, 1.0, 1, "distance 0.71 is not below 0.55.")),
        "ann": Score.of(Verdict(True, 0.9, 1.0, 1, "distance 0.90 is not below 0.55.")),
        "ben": Score.of(Verdict(False, float("inf"), 0.0, 0, "no face.")),
    },
)


def test_it_comes_back_as_it_was(tmp_path: Path) -> None:
    HISTORY.write(tmp_path / "clip.json")
    assert read_history(tmp_path / "clip.json") == HISTORY
    assert HISTORY.scores["tom"].distance == 0.7123
    assert HISTORY.scores["ben"].distance is None
    assert HISTORY.reason == "tom: distance 0.71 is not below 0.55. ben: no face."


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 2}', '{"version": 1, "id": "a"}'])
def test_what_cannot_be_read_is_no_history(tmp_path: Path, text: str) -> None:
    (tmp_path / "clip.json").write_text(text)
    assert read_history(tmp_path / "clip.json") is None
    assert read_history(tmp_path / "none.json") is None


@dataclass(frozen=True)
class Thing:
    pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
    words: tuple[str, ...] = ("a",)


def test_a_fingerprint_is_of_the_content() -> None:
    thing = Thing(np.arange(6, dtype=np.uint8))
    assert fingerprint(thing) == fingerprint(Thing(np.arange(6, dtype=np.uint8)))
    others = [
        replace(thing, words=("b",)),
        replace(thing, words=("a", "a")),
        replace(thing, pixels=thing.pixels[::-1]),
        replace(thing, pixels=thing.pixels.reshape(2, 3)),
        replace(thing, pixels=thing.pixels.astype(np.int8).view(np.int8)),  # type: ignore[arg-type]
    ]
    prints = {fingerprint(other) for other in [thing, *others]}
    assert len(prints) == 6
    assert fingerprint(("a", "b")) != fingerprint(("ab",))
    assert fingerprint({"a": 1}) != fingerprint({"a": "1"})
