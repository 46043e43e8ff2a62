"""A studio whose clips are coloured squares: the colour is the person, the ground is the scene."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pvchat.datamodules.manifest import Origin, Split
from pvchat.synthesis.pipeline.takes import Studio, Told
from pvchat.synthesis.questions.witnesses import Facts
from pvchat.synthesis.roles import Adapter, Frames, Made

RED, GREEN, BLUE, GREY = (250, 60, 60), (60, 250, 60), (70, 70, 250), (200, 200, 200)
PLACES = ("on a beach", "in a forest", "at home")


@dataclass(frozen=True)
class Drawn:
    person: str
    colour: tuple[int, int, int]
    source_id: str = "photo"
    licence: str = "CC0-1.0"
    consent: str = "drawn"
    moves: bool = False


@dataclass(frozen=True)
class Ground:
    place: str
    seed: int
    cast: tuple[str, ...] = ()


class DrawnStudio(Studio[Drawn, Ground]):
    """``spoiled`` seeds show the wrong person; counts what it films."""

    origin: Origin = "warp"

    def __init__(self, *, spoiled: Sequence[int] = ()) -> None:
        self.adapter = Adapter("drawn", "1", "CC0-1.0", True, "drawn")
        self.spoiled, self.filmed = set(spoiled), 0

    def plan(self, rng: np.random.Generator, split: Split) -> Iterator[Ground]:
        while True:
            yield Ground(PLACES[rng.integers(len(PLACES))], int(rng.integers(1 << 31)))

    def match(self, scene: Ground, cast: Sequence[Drawn]) -> Ground:
        return replace(scene, cast=tuple(a.person for a in cast))

    def shoot(self, actor: Drawn, scene: Ground) -> Made:
        self.filmed += 1
        frames = np.full((4, 64, 96, 3), scene.seed % 20, np.uint8)
        colour = GREY if scene.seed in self.spoiled else actor.colour
        frames[:, 20:48, 30:58] = colour
        return Made(frames, 8, self.adapter, scene.seed, scene.place, (actor.source_id,))

    def tell(self, scene: Ground) -> Told:
        return Told(f"{scene.place}/{scene.seed:x}", None, None, Facts("a hat", None, scene.place))


TOM, ANN, BEN, CAT = Drawn("tom", RED), Drawn("ann", GREEN), Drawn("ben", BLUE), Drawn("cat", (250, 250, 60))


def look(colour: tuple[int, int, int]) -> Frames:
    frame = np.zeros((1, 64, 96, 3), np.uint8)
    frame[:, 20:48, 30:58] = colour
    return frame
