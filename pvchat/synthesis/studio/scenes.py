"""What happens in a clip but who is in it: place, clothes, motion, camera, and how the cast is treated."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from pvchat.synthesis.casting import deal
from pvchat.synthesis.wardrobe import GARMENTS, Clothes, Opening

CameraMove = Literal["still", "pan", "zoom", "hand"]
CAMERA_MOVES: tuple[CameraMove, ...] = get_args(CameraMove)
HEAD = 3.4
"""Height of a head, crown to chin, in head units (eyes to mouth)."""
HEIGHTS = (0.25, 0.5)
"""Least and largest height of a head in the frame."""
_CROWN = 2.45  # head units above the eyes that much hair takes
_ACROSS = {"left": 0.35, "middle": 0.5, "right": 0.65}


@dataclass(frozen=True)
class Framing:
    """Where the middle between the eyes is, in shares of the frame, and the share that a head unit has."""

    x: float
    y: float
    unit: float


@dataclass(frozen=True)
class Treatment:
    """What all of a cast share, so that it does not tell who is who: where they are, whether they wear their
    ``own_clothes``, re-coloured, and how sharp they are: ``detail`` is eyes to mouth in pixels of the source.
    ``opening`` is that of a hood."""

    framing: Framing
    own_clothes: bool
    detail: float
    grey: bool
    opening: Opening | None = None


@dataclass(frozen=True)
class Scene:
    """``seed`` fixes light, framing and the course of motion and camera; ``treatment`` comes from
    ``PhotoStudio.match``."""

    place: str
    clothes: Clothes
    motion: str
    camera: CameraMove
    seed: int
    treatment: Treatment | None = None


def plan_scenes(
    rng: np.random.Generator, places: Sequence[str], colours: Sequence[str], motions: Sequence[str]
) -> Iterator[Scene]:
    """Endless scenes in which every place, colour, garment, motion and camera move comes equally often."""
    decks = (deal(rng, places), deal(rng, colours), deal(rng, GARMENTS), deal(rng, motions))
    cameras = deal(rng, CAMERA_MOVES)
    for place, colour, garment, motion, camera in zip(*decks, cameras, strict=True):
        yield Scene(place, Clothes(colour, garment), motion, camera, seed=int(rng.integers(1 << 31)))


def framings(seed: int) -> list[Framing]:
    """Ways to frame the scene of ``seed``, the preferred first: every size of a head, at every side."""
    rng = np.random.default_rng([seed, 3])
    ways = [(height, side) for height in np.linspace(*HEIGHTS, 9).tolist() for side in _ACROSS]
    chosen = []
    for i in rng.permutation(len(ways)):
        height, side = ways[i]
        unit = height / HEAD
        x, y = rng.uniform(-0.03, 0.03), rng.uniform(max(0.3, 0.06 + _CROWN * unit), 0.43)
        chosen.append(Framing(_ACROSS[side] + float(x), float(y), unit))
    return chosen
