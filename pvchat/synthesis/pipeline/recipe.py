"""What ``pvchat synthesize`` makes, as a config: kinds of clips, other people, questions."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser

from pvchat.errors import UserError
from pvchat.runs import experiment_file
from pvchat.synthesis.pipeline.others import OtherPeople
from pvchat.synthesis.pipeline.takes import SPLITS, Cast, SplitSize, Studio
from pvchat.synthesis.questions import QuestionPlan
from pvchat.synthesis.roles import Adapter, AnswerRewriter, VideoCaptioner

DEFAULT = "synthesis/laptop.yaml"


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

    studio: Studio[Any, Any]
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
    """A corpus. ``faces``: best faces of each subject that are used. ``reference_clips``: recordings of the
    subjects are in the corpus themselves, their first half to train and their last third to test.
    ``captioner`` answers questions about clips whose content nobody commanded."""

    parts: list[Part]
    others: OtherPeople
    faces: int = 8
    reference_clips: bool = True
    gate: GateSettings = field(default_factory=GateSettings)
    questions: QuestionPlan = field(default_factory=QuestionPlan)
    captioner: VideoCaptioner | None = None
    rewriter: AnswerRewriter | None = None

    @property
    def adapters(self) -> list[Adapter]:
        """All that takes part, for its licences."""
        used = [part.studio.adapter for part in self.parts] + list(self.others.adapters)
        return used + [role.adapter for role in (self.captioner, self.rewriter) if role is not None]


def load_recipe(configs: Sequence[str], overrides: Sequence[str]) -> tuple[Recipe, str]:
    """The recipe of ``configs`` (later ones win; default: the laptop's) with ``overrides`` such as
    ``--faces=4``, and the resolved config. Raises UserError."""
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("-c", "--config", action="config")
    parser.add_class_arguments(Recipe, None)
    files = [_config(name) for name in configs] or [str(experiment_file(DEFAULT))]
    try:
        parsed = parser.parse_args([*(f"--config={f}" for f in files), *overrides])
        text = parser.dump(parsed, skip_none=False)
        built = parser.instantiate_classes(parsed)
    except UserError:
        raise
    except Exception as error:  # what jsonargparse raises depends on where it notices
        cause = error.__cause__ if isinstance(error.__cause__, UserError) else None
        raise cause or UserError(f"the recipe is not valid: {' '.join(str(error).split())}") from error
    values = {k: v for k, v in vars(built).items() if k != "config"}
    return Recipe(**values), text


def _config(name: str) -> str:
    """``name`` from this folder, or one of the project's."""
    if Path(name).is_file():
        return name
    try:
        return str(experiment_file(name.removeprefix("experiments/")))
    except UserError as error:
        raise UserError(
            f"a config must be a file: {Path(name).absolute()} does not exist. The project's are "
            "synthesis/laptop.yaml and synthesis/paper.yaml."
        ) from error
