"""Training stages (paper, section 3.4): what is shown and what is trained, as a function of the epoch."""

from dataclasses import dataclass, field
from typing import Literal

from pvchat.batch import QuestionType
from pvchat.errors import UserError

StageName = Literal["image", "video"]


@dataclass(frozen=True)
class Stage:
    """One stage. ``num_frames`` caps the frames shown (1: the first frame only); ``trainable`` names
    parameter groups of the model; ``question_types`` are the questions asked."""

    epochs: int
    num_frames: int | None
    question_types: tuple[QuestionType, ...]
    trainable: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.epochs < 0:
            raise UserError(f"epochs of a stage must be >= 0: got {self.epochs}.")
        if self.num_frames is not None and self.num_frames < 1:
            raise UserError(f"num_frames of a stage must be >= 1 or null: got {self.num_frames}.")


def image_stage() -> Stage:
    return Stage(1, 1, ("existence", "appearance"), ("token_rows", "qformer", "router", "lora"))


def video_stage() -> Stage:
    return Stage(
        7,
        None,
        ("existence", "appearance", "action", "location", "general"),
        ("token_rows", "qformer", "router", "lora", "encoder_late"),
    )


@dataclass(frozen=True)
class StagePlan:
    """Image stage, then video stage. Pure function of the epoch, so it is right when fresh and on resume."""

    image: Stage = field(default_factory=image_stage)
    video: Stage = field(default_factory=video_stage)

    @property
    def epochs(self) -> int:
        return self.image.epochs + self.video.epochs

    def name_at(self, epoch: int) -> StageName:
        if epoch < 0:
            raise UserError(f"epoch must be >= 0: got {epoch}.")
        return "image" if epoch < self.image.epochs else "video"

    def at(self, epoch: int) -> Stage:
        return self.image if self.name_at(epoch) == "image" else self.video
