"""A studio that pastes a photo on coloured ground: fast, and faces stay faces. For recipes in tests."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image

from pvchat.datamodules.manifest import Origin, Split
from pvchat.synthesis.likeness import Look
from pvchat.synthesis.pipeline.others import Others
from pvchat.synthesis.pipeline.takes import Studio, Told
from pvchat.synthesis.questions.witnesses import Facts
from pvchat.synthesis.roles import Adapter, Frames, Made
from pvchat.synthesis.studio.actors import Actor

COLOURS = {"red": (160, 40, 40), "green": (40, 140, 60), "blue": (40, 60, 160)}


def pasted(photo: Frames, seed: int, colour: tuple[int, int, int] = (90, 90, 90)) -> Frames:
    """``photo`` (H, W, 3) in three frames (192, 192, 3) of ``colour``; ``seed`` shades the edge."""
    frames = np.empty((3, 192, 192, 3), np.uint8)
    frames[:] = np.asarray(colour) * (0.8 + 0.2 * (seed % 7) / 7)
    frames[:, 12:180, 12:180] = np.asarray(Image.fromarray(photo).resize((168, 168)))
    return frames


@dataclass(frozen=True)
class Ground:
    colour: str
    seed: int


class PastedStudio(Studio[Actor, Ground]):
    """``wait_s``: how long a clip takes at least."""

    origin: Origin = "warp"

    def __init__(self, *, wait_s: float = 0.0) -> None:
        self.wait_s = wait_s
        self.adapter = Adapter("pasted", "1", "CC0-1.0", True, "pasted")

    def plan(self, rng: np.random.Generator, split: Split) -> Iterator[Ground]:
        while True:
            yield Ground(list(COLOURS)[rng.integers(3)], int(rng.integers(1 << 31)))

    def match(self, scene: Ground, cast: Sequence[Actor]) -> Ground:
        return scene

    def shoot(self, actor: Actor, scene: Ground) -> Made:
        time.sleep(self.wait_s)
        frames = pasted(actor.photo, scene.seed, COLOURS[scene.colour])
        return Made(frames, 8, self.adapter, scene.seed, scene.colour, (actor.source_id,))

    def tell(self, scene: Ground) -> Told:
        place = f"in a {scene.colour} room"
        return Told(f"{scene.colour} {scene.seed:x}", None, None, Facts("a coat", "smiling", place))


class Admirals:
    """Grace Hopper, as two people, so that there is one for the training and one for the test. ``originals``:
    the latter's photo is at hand as it was taken. ``alike``: they count as look-alikes."""

    adapters: tuple[Adapter, ...] = ()

    def __init__(self, *, originals: bool = False, alike: bool = False) -> None:
        self.originals, self.alike = originals, alike

    def check(self) -> None:
        pass

    def find(self, own: Sequence[Actor], looks: Look, *, seed: int) -> Others:
        path = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
        photo = np.asarray(Image.open(path).convert("RGB").crop((100, 30, 420, 350)))
        grace, hopper = Actor("grace", "grace", photo), Actor("hopper", "hopper", photo[:, ::-1])
        people = [[grace], [hopper]]
        if self.alike:
            return Others([], lookalikes=people)
        return Others(people, originals={"hopper": path} if self.originals else {})
