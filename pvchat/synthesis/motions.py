"""Commanded motions of a head: what happens in a clip is known exactly, so action questions have answers."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pvchat.errors import UserError


@dataclass(frozen=True)
class Pose:
    """Where a head is: ``yaw`` and ``pitch`` turn it, ``tilt`` rolls it on the neck, ``sway`` rolls
    head and body (all radians), ``x`` and ``y`` shift it in units of eyes to mouth, ``scale`` is nearness."""

    yaw: float = 0.0
    pitch: float = 0.0
    tilt: float = 0.0
    sway: float = 0.0
    x: float = 0.0
    y: float = 0.0
    scale: float = 1.0


def _wave(t: float, turns: float) -> float:
    return float(np.sin(2 * np.pi * turns * t))


def _ease(t: float) -> float:
    return t * t * (3 - 2 * t)


MOTIONS: dict[str, tuple[str, Callable[[float, float], Pose]]] = {
    "nod": ("nodding", lambda t, a: Pose(pitch=0.30 * a * _wave(t, 1.2), y=0.17 * a * _wave(t, 1.2))),
    "shake": (
        "shaking the head",
        lambda t, a: Pose(yaw=0.34 * a * _wave(t, 1.2), x=0.13 * a * _wave(t, 1.2)),
    ),
    "sway": ("swaying from side to side", lambda t, a: Pose(sway=0.10 * a * _wave(t, 1.25))),
    "tilt": ("tilting the head to one side", lambda t, a: Pose(tilt=0.26 * a * _ease(t))),
    "approach": ("coming closer to the camera", lambda t, a: Pose(scale=0.86 + 0.38 * abs(a) * _ease(t))),
    "still": ("keeping still", lambda t, a: Pose()),
}
"""Motion -> (what the person is doing; pose at time t in 0..1 with amplitude a around 1)."""


def doing(motion: str) -> str:
    """What somebody does who moves like that: ``"nodding"``."""
    return MOTIONS[motion][0]


def poses(motion: str, *, num_frames: int, amplitude: float = 1.0) -> list[Pose]:
    """The pose in every frame of a clip."""
    if motion not in MOTIONS:
        raise UserError(f"a motion must be one of {', '.join(MOTIONS)}: got {motion!r}.")
    return [MOTIONS[motion][1](t, amplitude) for t in np.linspace(0, 1, num_frames).tolist()]
