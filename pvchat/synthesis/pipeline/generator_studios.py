"""The paper's generators as studios: scenes are prompts and motions, everybody gets the same ones."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Self

import numpy as np

from pvchat.datamodules.manifest import Origin, Split
from pvchat.errors import UserError
from pvchat.synthesis.animation.motion_library import MotionLibrary
from pvchat.synthesis.attributes import Attributes
from pvchat.synthesis.casting import deal
from pvchat.synthesis.licences import terms_of
from pvchat.synthesis.pipeline.history import fingerprint
from pvchat.synthesis.pipeline.takes import Studio, Told
from pvchat.synthesis.questions.witnesses import Facts
from pvchat.synthesis.roles import (
    Adapter,
    IdentityImageSynthesizer,
    IdentityVideoSynthesizer,
    Made,
    PortraitAnimator,
)
from pvchat.synthesis.scene_prompts import ScenePrompt, sample_prompts
from pvchat.synthesis.studio.actors import Actor

_Generator = IdentityImageSynthesizer | IdentityVideoSynthesizer | PortraitAnimator
MOTIONS = ("nod", "shake", "question", "smile", "anger")
"""Of the paper: yes, no, query, smile, anger."""


@dataclass(frozen=True)
class PromptScene:
    """What a generator is asked for, and how the person then moves."""

    prompt: ScenePrompt | None
    motion: str | None
    seed: int


class Generated(Studio[Actor, PromptScene]):
    """Everybody gets the same scene."""

    @property
    @abstractmethod
    def generators(self) -> Sequence[_Generator]:
        """Who works on a clip, one after the other."""

    @property
    def terms(self) -> Adapter:
        """See ``Adapter``."""
        return reduce(_together, map(terms_of, self.generators))

    @cached_property
    def adapter(self) -> Adapter:  # type: ignore[override]  # others know theirs from the start
        """Its fingerprint is over the weights, so they must be there."""
        return reduce(_together, (generator.adapter for generator in self.generators))

    def check(self) -> None:
        """Raises UserError for weights that are not there."""
        _ = self.adapter

    def match(self, scene: PromptScene, cast: Sequence[Actor]) -> PromptScene:
        return scene


class Prompted(Generated):
    """Scenes out of the prompt library, for people of some gender and age."""

    origin: Origin = "generated"

    def __init__(self, *, attributes: Attributes | None, prompts: int, motions: Sequence[str]) -> None:
        self.attributes, self.prompts, self.motions = attributes, prompts, tuple(motions)

    def directed(self, attributes: Attributes) -> Self:
        """The same studio for subjects like that."""
        studio = copy(self)
        studio.attributes = attributes
        return studio

    def plan(self, rng: np.random.Generator, split: Split) -> Iterator[PromptScene]:
        if self.attributes is None:
            raise UserError(
                "prompts are for a gender and an age group: got neither. Give --gender and --age."
            )
        gender, age = self.attributes.gender, self.attributes.age_group
        # a place of the test is asked for in no other split
        found = sample_prompts(gender, age, 2 * self.prompts, seed=0)
        own = found[self.prompts :] if split == "test" else found[: self.prompts]
        motions: Iterator[str | None] = deal(rng, self.motions or (None,))
        for prompt, motion in zip(deal(rng, own), motions, strict=True):
            yield PromptScene(prompt, motion, seed=int(rng.integers(1 << 31)))

    def tell(self, scene: PromptScene) -> Told:
        prompt, doing = scene.prompt, None
        facts = Facts() if prompt is None else prompt.facts
        if scene.motion is not None:
            doing = MotionLibrary()[scene.motion].doing
        facts = Facts(facts.clothes, doing or facts.doing, facts.place)
        background = None if prompt is None else f"{facts.place}/{scene.seed:08x}"
        return Told(background, facts.clothes, scene.motion or facts.doing, facts)


class PromptedVideos(Prompted):
    """A video of the person for each prompt, as by ConsisID in the paper. ``prompts`` different ones."""

    def __init__(
        self,
        *,
        video: IdentityVideoSynthesizer,
        num_frames: int = 49,
        prompts: int = 10,
        attributes: Attributes | None = None,
    ) -> None:
        super().__init__(attributes=attributes, prompts=prompts, motions=())
        self.video, self.num_frames = video, num_frames

    @property
    def generators(self) -> Sequence[_Generator]:
        return (self.video,)

    def shoot(self, actor: Actor, scene: PromptScene) -> Made:
        assert scene.prompt is not None
        return self.video.film(actor.photo, scene.prompt.text, seed=scene.seed, num_frames=self.num_frames)


class PromptedPortraits(Prompted):
    """A picture of the person for each prompt, then moved: PhotoMaker and LivePortrait in the paper."""

    def __init__(
        self,
        *,
        image: IdentityImageSynthesizer,
        animator: PortraitAnimator,
        motions: Sequence[str] = MOTIONS,
        num_frames: int = 49,
        fps: float = 8.0,
        prompts: int = 6,
        attributes: Attributes | None = None,
    ) -> None:
        super().__init__(attributes=attributes, prompts=prompts, motions=motions)
        self.image, self.animator = image, animator
        self.num_frames, self.fps = num_frames, fps

    @property
    def generators(self) -> Sequence[_Generator]:
        return self.image, self.animator

    def shoot(self, actor: Actor, scene: PromptScene) -> Made:
        assert scene.prompt is not None
        assert scene.motion is not None
        drawn = self.image.draw([actor.photo], scene.prompt.text, seed=scene.seed)
        moved = self.animator.animate(
            drawn.frames[0], scene.motion, seed=scene.seed, num_frames=self.num_frames, fps=self.fps
        )
        command = f"{drawn.command}; {moved.command}"
        return Made(moved.frames, moved.fps, self.adapter, scene.seed, command, drawn.inputs)


class MovingPhotos(Generated):
    """The photo itself, moved: LivePortrait on the best face in the paper."""

    origin: Origin = "warp"

    def __init__(
        self,
        *,
        animator: PortraitAnimator,
        motions: Sequence[str] = MOTIONS,
        num_frames: int = 49,
        fps: float = 8.0,
    ) -> None:
        self.animator, self.motions = animator, tuple(motions)
        self.num_frames, self.fps = num_frames, fps

    @property
    def generators(self) -> Sequence[_Generator]:
        return (self.animator,)

    def plan(self, rng: np.random.Generator, split: Split) -> Iterator[PromptScene]:
        for motion in deal(rng, self.motions):
            yield PromptScene(None, motion, seed=int(rng.integers(1 << 31)))

    def shoot(self, actor: Actor, scene: PromptScene) -> Made:
        assert scene.motion is not None
        return self.animator.animate(
            actor.photo, scene.motion, seed=scene.seed, num_frames=self.num_frames, fps=self.fps
        )

    def tell(self, scene: PromptScene) -> Told:
        assert scene.motion is not None
        return Told(motion=scene.motion, facts=Facts(doing=MotionLibrary()[scene.motion].doing))


def _together(first: Adapter, second: Adapter) -> Adapter:
    return Adapter(
        f"{first.name} + {second.name}",
        f"{first.version} + {second.version}",
        f"{first.licence}; {second.licence}",
        first.commercial and second.commercial,
        fingerprint(first, second),
    )
