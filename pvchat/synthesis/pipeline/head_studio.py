"""The studio of the quickstart: heads cut out of footage, over drawn clothes, in drawn places."""

from collections.abc import Iterator, Sequence

import numpy as np

from pvchat.datamodules.manifest import Origin, Split
from pvchat.synthesis.backgrounds import BACKGROUNDS
from pvchat.synthesis.casting import scenes
from pvchat.synthesis.composer import Scene, compose, match
from pvchat.synthesis.pipeline.history import fingerprint
from pvchat.synthesis.pipeline.takes import Studio, Told
from pvchat.synthesis.portraits import Portrait
from pvchat.synthesis.questions.witnesses import Facts
from pvchat.synthesis.roles import Adapter, Made
from pvchat.synthesis.writing import FPS

VERSION = "1"


class HeadStudio(Studio[Portrait, Scene]):
    """A ``takes.Studio`` of ``Portrait`` heads. See ``builder.CorpusSettings`` for what can be set."""

    origin: Origin = "warp"

    def __init__(
        self,
        *,
        num_frames: int = 10,
        size_px: int = 224,
        grayscale: bool | None = None,
        new_places_in_test: bool = False,
        seed: int = 0,
    ) -> None:
        self.num_frames, self.size_px, self.grayscale = num_frames, size_px, grayscale
        self.new_places_in_test, self.seed = new_places_in_test, seed
        settings = fingerprint(VERSION, num_frames, size_px, grayscale)
        self.adapter = Adapter("head-composer", VERSION, "Apache-2.0", True, settings)

    def plan(self, rng: np.random.Generator, split: Split) -> Iterator[Scene]:
        return scenes(rng, self._places(split))

    def match(self, scene: Scene, cast: Sequence[Portrait]) -> Scene:
        return match(scene, cast, grayscale=self.grayscale)

    def shoot(self, actor: Portrait, scene: Scene) -> Made:
        frames = compose(actor, scene, num_frames=self.num_frames, size_px=self.size_px)
        inputs = (fingerprint(actor.heads),)
        return Made(frames, FPS, self.adapter, scene.seed, scene.motion, inputs)

    def tell(self, scene: Scene) -> Told:
        behind = f"{scene.background}/{scene.seed:08x}"
        return Told(behind, str(scene.clothes), scene.motion, Facts.of_scene(scene))

    def _places(self, split: Split) -> list[str]:
        kinds = list(BACKGROUNDS)
        if not self.new_places_in_test:
            return kinds  # the same kinds, but never the same picture
        kinds = [kinds[i] for i in np.random.default_rng([self.seed, 99]).permutation(len(kinds))]
        reserved = len(kinds) // 3
        return kinds[:reserved] if split == "test" else kinds[reserved:]
