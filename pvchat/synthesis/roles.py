"""What the stages of the synthesis hand to each other: a protocol for each role, data with its history.

Adapters of a role are interchangeable: the default runs on a laptop, the paper's generators on a GPU box."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from pvchat.faces import Vector

Frames = npt.NDArray[np.uint8]
Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Adapter:
    """Who does the work of a role. ``licence`` is that of code and weights together, ``commercial`` says
    whether it allows commercial use; ``fingerprint`` names weights and settings. A role whose weights have to
    be read for that says the rest in ``terms``, an adapter without a fingerprint."""

    name: str
    version: str
    licence: str
    commercial: bool
    fingerprint: str


@dataclass(frozen=True)
class Made:
    """``frames`` (T, H, W, 3) uint8 RGB at ``fps``, made by ``adapter`` with ``seed`` from ``inputs``: hashes
    of the photos that went in. ``command`` is what was asked for: a motion, a prompt."""

    frames: Frames
    fps: float
    adapter: Adapter
    seed: int
    command: str
    inputs: tuple[str, ...]


class PortraitAnimator(Protocol):
    """Moves the person of one photo."""

    adapter: Adapter

    def animate(self, photo: Frames, motion: str, *, seed: int, num_frames: int, fps: float) -> Made:
        """Frames like ``photo`` (H, W, 3). Same seed, same bytes. Raises UserError for an unknown motion and
        for a photo without one clear face."""
        ...


class IdentityImageSynthesizer(Protocol):
    """Shows the person of some photos in another scene."""

    adapter: Adapter

    def draw(self, photos: Sequence[Frames], prompt: str, *, seed: int) -> Made:
        """One frame of the scene that ``prompt`` describes. Raises UserError for photos without a face."""
        ...


class IdentityVideoSynthesizer(Protocol):
    """Films the person of a photo in another scene."""

    adapter: Adapter

    def film(self, photo: Frames, prompt: str, *, seed: int, num_frames: int) -> Made:
        """Frames of the scene that ``prompt`` describes. Raises UserError for a photo without a face."""
        ...


@dataclass(frozen=True)
class Neighbour:
    """A picture of a gallery and how near its face is: L2 ``distance`` of embeddings, or 1 - cosine."""

    key: str
    distance: float


class NegativeRetriever(Protocol):
    """Finds people who look like the subject and are not."""

    adapter: Adapter

    def nearest(self, face: Vector, count: int, *, farther_than: float) -> list[Neighbour]:
        """Up to ``count`` others, the nearest first; nearer ones are the subject and left out. ``face``
        is one embedding (D,) or several (R, D): the nearest counts. Raises UserError where nobody is left."""
        ...


class VideoCaptioner(Protocol):
    """Answers a question about a clip in words."""

    adapter: Adapter

    def caption(self, frames: Frames, question: str) -> str:
        """Raises UserError when no answer can be had."""
        ...


class AnswerRewriter(Protocol):
    """Makes an answer personal: "the man", "he" become the subject."""

    adapter: Adapter

    def rewrite(self, question: str, answer: str, *, subject: str) -> str:
        """The same answer about ``<subject>``."""
        ...


class Executor(Protocol):
    """Runs the same work on many items: here, in several processes, on several machines."""

    def map(
        self, make_worker: Callable[[], Callable[[Item], Result]], items: Sequence[Item]
    ) -> Iterator[Result]:
        """Results in the order of ``items``. ``make_worker`` loads models once a process; it, the items and
        the results are pickled. What is large is written to files by the worker."""
        ...
