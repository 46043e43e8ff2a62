"""Contracts between the layers: what a decoded clip, a question and a batch are.

Axes used everywhere: B batch, P persons, T frames, L tokens of a frame, Q queries, H heads,
D width, S text positions, K context tokens (all views and frames of a clip together).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Polarity = Literal["yes", "no"]
QuestionType = Literal["existence", "appearance", "action", "location", "general", "when", "who"]
Features = dict[str, Tensor]
"""What is cached of a clip: per view ``name`` its tokens (T, L, D) and ``name.mask`` (T,), True where
the view shows something (a frame without a face has no face view). Where frames are read jointly the first
axis is the passes (V) of the Q-former instead."""


@dataclass(frozen=True)
class Clip:
    """Decoded frames (T, H, W, 3) uint8 RGB, their ``times`` (T,) in seconds, and a ``key`` that names
    the content: bytes of the source plus the decode settings."""

    frames: npt.NDArray[np.uint8]
    times: npt.NDArray[np.float64]
    key: str


class FeatureExtractor(Protocol):
    """Turns a clip into features; injected into the datamodule, which imports no module."""

    @property
    def fingerprint(self) -> str:
        """Names everything the features depend on: weights, views, unfreeze boundary, settings."""
        ...

    def __call__(self, clip: Clip, *, blank_faces: bool = False) -> Features:
        """Features of every frame of ``clip``; with ``blank_faces`` the faces are painted over first."""
        ...

    def to(self, device: torch.device) -> object:
        """Work on ``device`` from now on; features stay on the CPU."""
        ...

    def show(self, features: Features, num_frames: int | None) -> Features:
        """Those of ``features`` that show the first ``num_frames`` frames, of all when None."""
        ...


@dataclass(frozen=True)
class Example:
    """One question about one clip. ``question`` and ``answer`` spell subjects as ``<name>``.

    ``polarity`` is the truth of an existence question (None for other types), ``presence`` who is in
    the clip, ``origin`` where the clip comes from (real, warp, generated, negative), ``look_alike`` whether
    it shows somebody chosen for looking like a subject, who is none, ``clip_seconds`` how long it is; None
    where that is not known. ``source_id`` names the photo or recording that the clip was made of."""

    id: str
    clip_id: str
    question: str
    answer: str
    type: QuestionType
    polarity: Polarity | None
    subjects: tuple[str, ...]
    presence: Mapping[str, bool]
    origin: str
    look_alike: bool | None = None
    clip_seconds: float | None = None
    source_id: str = ""


@dataclass(frozen=True)
class TrainingClip:
    """A training clip whole: ``features`` of every frame, its questions with their answers, who is in it, and
    whether it is of the reference, by which the user introduced a person."""

    id: str
    features: Features
    examples: Sequence[Example]
    presence: Mapping[str, bool]
    is_reference: bool
    source_id: str = ""


@dataclass(frozen=True)
class Tokens:
    """A padded text batch, all (B, S): ids (new tokens follow the base vocabulary), ``attention_mask``,
    ``labels`` (-100 where not supervised) and ``visual_mask``, True at the slots of visual tokens."""

    input_ids: Tensor
    attention_mask: Tensor
    labels: Tensor
    visual_mask: Tensor


@dataclass(frozen=True)
class Batch:
    """``views`` name -> (B, T, L, D), ``view_masks`` name -> (B, T), ``person_mask`` (B, P): True for the
    persons the question asks about (never derived from who is present, which would leak the answer)."""

    examples: Sequence[Example]
    views: dict[str, Tensor]
    view_masks: dict[str, Tensor]
    person_mask: Tensor

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "Batch":
        return replace(
            self,
            views={k: v.to(device, non_blocking=non_blocking) for k, v in self.views.items()},
            view_masks={k: v.to(device, non_blocking=non_blocking) for k, v in self.view_masks.items()},
            person_mask=self.person_mask.to(device, non_blocking=non_blocking),
        )

    def select(self, indices: Sequence[int]) -> "Batch":
        """The questions at ``indices`` alone."""
        rows = list(indices)
        return Batch(
            [self.examples[i] for i in rows],
            {name: view[rows] for name, view in self.views.items()},
            {name: mask[rows] for name, mask in self.view_masks.items()},
            self.person_mask[rows],
        )

    def __len__(self) -> int:
        return len(self.examples)


def tokens_to(tokens: Tokens, device: torch.device | str) -> Tokens:
    return Tokens(**{f.name: getattr(tokens, f.name).to(device) for f in fields(tokens)})


def first_frames(features: Features, num_frames: int | None) -> Features:
    """The first ``num_frames`` of features that have a row per frame; all when None."""
    return {name: tensor[:num_frames] for name, tensor in features.items()}


def stack_features(features: Sequence[Features]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Per-clip features -> ``(views, view_masks)`` of a batch."""
    names = [name for name in features[0] if not name.endswith(".mask")]
    views = {name: torch.stack([f[name] for f in features]) for name in names}
    masks = {name: torch.stack([f[f"{name}.mask"] for f in features]) for name in names}
    return views, masks
