"""The words that name what a manifest's clips wear and do, and where they are."""

from pathlib import Path

import pytest

from pvchat.datamodules.manifest import Record
from pvchat.datamodules.vocabulary import vocabulary
from pvchat.metrics.functional.naming import named
from pvchat.synthesis.animation.motion_library import MotionLibrary
from pvchat.synthesis.backgrounds import BACKGROUNDS, place
from pvchat.synthesis.motions import MOTIONS, doing
from pvchat.synthesis.wardrobe import COLOURS


def record(**facts: str) -> Record:
    return Record(
        id="clip",
        path=Path("clip.mp4"),
        presence={"tom": True},
        source_id="clip",
        origin="warp",
        split="train",
        licence="not stated",
        consent="not stated",
        **facts,
    )


def test_a_vocabulary_is_what_the_clips_have() -> None:
    records = [
        record(clothes="Red t-shirt", background="kitchen", motion="nod"),
        record(clothes="gray-blue coat", background="kitchen", motion="juggling"),
        record(clothes="toga"),
    ]
    words = vocabulary(records)
    assert words["appearance"] == {"red": ("red",), "blue": ("blue",), "grey": ("grey", "gray")}
    assert words["location"] == {"kitchen": ("kitchen",)}
    assert words["action"] == {"juggling": ("juggling",), "nod": ("nod", "nods", "nodding")}


ANIMATED = {name: motion.doing for name, motion in MotionLibrary().items()}
DRAWN = {name: doing(name) for name in MOTIONS}


@pytest.mark.parametrize("motions", [ANIMATED, DRAWN], ids=["animated", "drawn"])
def test_every_phrase_of_the_synthesis_names_its_own_motion(motions: dict[str, str]) -> None:
    words = vocabulary(record(motion=name) for name in motions)["action"]
    assert {name: set(named(f"<tom> is {phrase}.", words)) for name, phrase in motions.items()} == {
        name: {name} for name in motions
    }


def test_every_phrase_of_the_synthesis_names_its_own_place_and_colour() -> None:
    words = vocabulary(record(background=kind, clothes=f"{c} shirt") for kind in BACKGROUNDS for c in COLOURS)
    assert all(named(place(kind), words["location"]) == {kind} for kind in BACKGROUNDS)
    assert set(words["appearance"]) == set(COLOURS)
