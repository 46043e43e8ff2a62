"""What ``pvchat synthesize`` makes, as a config: kinds of clips, other people, questions. Values that cannot
be raise UserError when the recipe is read."""

import re
from dataclasses import dataclass, field
from typing import Any, Literal

from pvchat.errors import UserError
from pvchat.synthesis.licences import terms_of
from pvchat.synthesis.pipeline.others import OtherPeople
from pvchat.synthesis.pipeline.package_people import PackagePeople
from pvchat.synthesis.pipeline.takes import SPLITS, Cast, SplitSize, Studio
from pvchat.synthesis.questions import QuestionPlan
from pvchat.synthesis.roles import Adapter, AnswerRewriter, VideoCaptioner


@dataclass(frozen=True)
class Scenes:
    """How many scenes are filmed in each split."""

    train: int = 0
    validation: int = 0
    test: int = 0

    def __post_init__(self) -> None:
        _at_least(0, train=self.train, validation=self.validation, test=self.test)


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

    def __post_init__(self) -> None:
        _at_least(0, strangers=self.strangers, lookalikes=self.lookalikes)
        if not re.fullmatch(r"[\w-]*", self.name):
            raise UserError(
                f"the name of a part begins names of files: {self.name!r} holds more than letters, digits, "
                "- and _. Choose another."
            )

    def sizes(self, casts: dict[Any, Cast[Any]]) -> dict[Any, SplitSize]:
        """By split. Only those who are there can be filmed."""
        sizes = {}
        for split, cast in casts.items():
            others, alike = ({a.person for a in some} for some in (cast.strangers, cast.lookalikes))
            strangers, lookalikes = min(self.strangers, len(others)), min(self.lookalikes, len(alike))
            sizes[split] = SplitSize(getattr(self.scenes, split), strangers, lookalikes)
        return sizes


@dataclass(frozen=True)
class GateSettings:
    """Share of other people whom the identity gate may let pass, and frames of a clip it looks at."""

    far: float = 0.01
    num_frames: int = 3

    def __post_init__(self) -> None:
        _at_least(1, num_frames=self.num_frames)
        if not 0 < self.far < 1:
            raise UserError(f"gate.far is a share between 0 and 1: got {self.far:g}. The default is 0.01.")


@dataclass(frozen=True)
class Recipe:
    """A corpus. ``faces``: best faces of each subject that are used, ``frames`` of a clip are searched for
    them. ``references``: recordings of the subjects are in the corpus themselves, ``split`` (the first half
    to train on, the last third to test) or ``whole``; ``real_negatives``: as many clips or photos of others
    stand beside them as they were taken, or all real footage would be the subject's. ``captioner`` answers
    questions about clips whose content nobody commanded."""

    parts: list[Part]
    others: OtherPeople = field(default_factory=PackagePeople)
    faces: int = 8
    frames: int = 64
    references: Literal["split", "whole", "none"] = "split"
    real_negatives: bool = True
    gate: GateSettings = field(default_factory=GateSettings)
    questions: QuestionPlan = field(default_factory=lambda: QuestionPlan(4, about=1, refused=1, general=1))
    captioner: VideoCaptioner | None = None
    rewriter: AnswerRewriter | None = None

    def __post_init__(self) -> None:
        _at_least(1, faces=self.faces, frames=self.frames)
        films = any(vars(part.scenes)[split] for part in self.parts for split in SPLITS)
        if not films and self.references == "none":
            raise UserError("a corpus needs clips: no part has scenes, references are none. Add scenes.")
        names = [part.name for part in self.parts]
        if len(set(names)) < len(names):
            raise UserError(
                f"the names of parts tell their clips apart: got {names}. Give each part a name of its own."
            )

    @property
    def terms(self) -> list[Adapter]:
        """All that takes part, for its licences; no weights are needed."""
        roles = [*(part.studio for part in self.parts), self.captioner, self.rewriter]
        return [*map(terms_of, filter(None, roles)), *self.others.adapters]

    def check(self) -> None:
        """Raises UserError for what can be known to be wrong before anything long starts: others who are not
        there, weights that are not, endpoints that do not answer. Roles may have a ``check`` of their own."""
        studios = (part.studio for part in self.parts)
        for role in (*studios, self.others, self.captioner, self.rewriter):
            if (check := getattr(role, "check", None)) is not None:
                check()


def _at_least(least: int, **values: int) -> None:
    for name, value in values.items():
        if value < least:
            raise UserError(f"{name} must be >= {least}: got {value}. Change it in the recipe.")
