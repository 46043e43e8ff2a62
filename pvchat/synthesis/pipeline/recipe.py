"""What ``pvchat synthesize`` makes, as a config: kinds of clips, other people, questions."""

from dataclasses import dataclass, field
from typing import Any, Literal

from pvchat.synthesis.pipeline.others import OtherPeople
from pvchat.synthesis.pipeline.takes import SPLITS, Cast, SplitSize, Studio
from pvchat.synthesis.questions import QuestionPlan
from pvchat.synthesis.roles import Adapter, AnswerRewriter, VideoCaptioner


@dataclass(frozen=True)
class Scenes:
    """How many scenes are filmed in each split."""

    train: int = 0
    validation: int = 0
    test: int = 0


@dataclass(frozen=True)
class Part:
    """Clips of one kind: ``scenes`` of a ``studio``, each filmed with all subjects, with so many
    ``strangers`` and with so many who look like a subject. ``open_questions``: also what somebody wears and
    does, and where, is asked of the subjects' clips. ``name`` begins the ids of the clips."""

    studio: Studio  # type: ignore[type-arg]  # jsonargparse wants no Any in brackets
    scenes: Scenes
    name: str = ""
    strangers: int = 1
    lookalikes: int = 0
    open_questions: bool = True

    def sizes(self, casts: dict[Any, Cast[Any]]) -> dict[Any, SplitSize]:
        """By split. Only those who are there can be filmed."""
        sizes = {}
        for split in SPLITS:
            cast = casts.get(split)
            scenes = getattr(self.scenes, split) if cast is not None else 0
            others = len({a.person for a in cast.strangers}) if cast is not None else 0
            alike = len({a.person for a in cast.lookalikes}) if cast is not None else 0
            sizes[split] = SplitSize(scenes, min(self.strangers, others), min(self.lookalikes, alike))
        return sizes


@dataclass(frozen=True)
class GateSettings:
    """Share of other people whom the identity gate may let pass, and frames of a clip it looks at."""

    far: float = 0.01
    num_frames: int = 3


@dataclass(frozen=True)
class Recipe:
    """A corpus. ``faces``: best faces of each subject that are used, ``frames`` of a clip are searched for
    them. ``references``: recordings of the
    subjects are in the corpus themselves, ``split`` (the first half to train on, the last third to test) or
    ``whole``. ``captioner`` answers questions about clips whose content nobody commanded."""

    parts: list[Part]
    others: OtherPeople
    faces: int = 8
    frames: int = 64
    references: Literal["split", "whole", "none"] = "split"
    gate: GateSettings = field(default_factory=GateSettings)
    questions: QuestionPlan = field(default_factory=QuestionPlan)
    captioner: VideoCaptioner | None = None
    rewriter: AnswerRewriter | None = None

    @property
    def adapters(self) -> list[Adapter]:
        """All that takes part, for its licences."""
        used = [part.studio.adapter for part in self.parts] + list(self.others.adapters)
        return used + [role.adapter for role in (self.captioner, self.rewriter) if role is not None]
