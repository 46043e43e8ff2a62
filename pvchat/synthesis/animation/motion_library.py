"""Commanded motions of a head and its face, in degrees and weights per frame, from a few seeded numbers.

What happens in a clip is known exactly: questions about it have answers, and motion that is recovered from
the frames can be compared with it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from pvchat.errors import UserError

Array = npt.NDArray[np.float64]
Channel = Literal["pitch", "yaw", "roll", "smile", "anger", "brows", "jaw", "blink"]
Kind = Literal["wave", "hold", "talk"]
CHANNELS: tuple[Channel, ...] = get_args(Channel)
POSE: tuple[Channel, ...] = ("pitch", "yaw", "roll")
LIMITS = {"pitch": 15.0, "yaw": 25.0, "roll": 20.0}
"""Degrees beyond which one photo no longer looks natural."""
_RISE_S = 0.5  # a movement takes that long to begin or end
_BLINK_S, _BLINKS_EVERY_S = 0.16, 3.5


@dataclass(frozen=True)
class Curves:
    """``values`` (T, 8): ``CHANNELS`` of each frame at ``fps``, degrees first and then weights 0..1."""

    values: Array
    fps: float

    def __getitem__(self, channel: Channel) -> Array:
        return np.asarray(self.values[:, CHANNELS.index(channel)])

    def __len__(self) -> int:
        return len(self.values)

    def save(self, path: Path) -> None:
        """As npz, without pickle."""
        np.savez(path, values=self.values, fps=self.fps, channels=np.array(CHANNELS))

    @classmethod
    def load(cls, path: Path) -> "Curves":
        """Raises UserError for a file of another kind."""
        try:
            with np.load(path, allow_pickle=False) as file:
                values, fps = np.asarray(file["values"], float), float(file["fps"])
                channels = tuple(file["channels"].tolist())
        except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
            raise UserError(f"curves must be an npz of Curves.save: {path} is not ({error}).") from error
        if channels != CHANNELS or values.ndim != 2 or values.shape[1] != len(CHANNELS):
            raise UserError(f"curves must have the channels {', '.join(CHANNELS)}: {path} has {channels}.")
        return cls(values, fps)


@dataclass(frozen=True)
class Track:
    """What one channel does: swing about zero (``wave``, ``hz`` times a second), go somewhere and stay
    (``hold``) or open and close like syllables (``talk``, about ``hz`` a second). ``amplitude`` is in degrees
    or a weight. ``delay_s`` is when it starts."""

    channel: Channel
    kind: Kind
    amplitude: float
    hz: float = 0.0
    delay_s: float = 0.0


@dataclass(frozen=True)
class Motion:
    """``doing`` ends the sentence "The person is ..". ``mirrored``: half of the seeds turn and lean to the
    other side."""

    doing: str
    tracks: tuple[Track, ...]
    mirrored: bool = True


_DEFAULT = {
    "nod": Motion("nodding", (Track("pitch", "wave", 11, hz=1.4),)),
    "shake": Motion("shaking the head", (Track("yaw", "wave", 15, hz=1.2),)),
    "tilt": Motion("tilting the head to one side", (Track("roll", "hold", 13), Track("yaw", "hold", 3))),
    "smile": Motion(
        "smiling", (Track("smile", "hold", 1), Track("pitch", "hold", -2), Track("roll", "hold", 2))
    ),
    "anger": Motion("looking angry", (Track("anger", "hold", 1), Track("pitch", "hold", 5))),
    "question": Motion(
        "looking puzzled, with raised eyebrows",
        (
            Track("brows", "hold", 1),
            Track("roll", "hold", 8, delay_s=0.1),
            Track("yaw", "hold", 5),
            Track("pitch", "hold", -2),
        ),
    ),
    "talk": Motion(
        "talking",
        (
            Track("jaw", "talk", 0.6, hz=4),
            Track("pitch", "wave", 2, hz=0.7),
            Track("brows", "talk", 0.3, hz=0.8),
        ),
    ),
    "still": Motion("keeping still", ()),
}


class MotionLibrary(Mapping[str, Motion]):
    """Motions by name; the default ones, or those of a JSON file."""

    def __init__(self, motions: Mapping[str, Motion] | None = None) -> None:
        self.motions = dict(_DEFAULT if motions is None else motions)

    def __getitem__(self, name: str) -> Motion:
        if name not in self.motions:
            raise UserError(f"a motion must be one of {', '.join(self.motions)}: got {name!r}.")
        return self.motions[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.motions)

    def __len__(self) -> int:
        return len(self.motions)

    def save(self, path: Path) -> None:
        content = {name: asdict(motion) for name, motion in self.motions.items()}
        path.write_text(json.dumps(content, indent=2) + "\n")

    @classmethod
    def load(cls, path: Path) -> "MotionLibrary":
        """Raises UserError for what ``save`` would not write."""
        try:
            return cls({name: _motion(entry) for name, entry in json.loads(path.read_text()).items()})
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise UserError(
                f"motions must be a JSON file of MotionLibrary.save: {path} is not ({error})."
            ) from error

    def curves(self, name: str, *, seed: int, num_frames: int, fps: float) -> Curves:
        """``name`` as commanded in each frame; ``seed`` changes amplitude, tempo, phase, side, and the small
        movements and blinks of somebody alive."""
        motion, rng = self[name], np.random.default_rng([seed, 5])
        if num_frames < 1 or not 0 < fps < np.inf:
            raise UserError(f"a clip must have frames and a rate: got {num_frames} frames at {fps} fps.")
        t = np.arange(num_frames) / fps
        amplitude, tempo = rng.uniform(0.8, 1.15), rng.uniform(0.9, 1.1)
        side = -1.0 if motion.mirrored and rng.random() < 0.5 else 1.0
        begin_s = rng.uniform(0, 0.08) * t[-1]
        values = {channel: _life(t, channel, rng) for channel in CHANNELS}
        for track in motion.tracks:
            sign = side if track.channel in ("yaw", "roll") else 1.0
            moved = _play(track, t - begin_s, tempo, rng)
            values[track.channel] = values[track.channel] + sign * amplitude * track.amplitude * moved
        for channel in CHANNELS:
            low, high = (-LIMITS[channel], LIMITS[channel]) if channel in POSE else (0.0, 1.0)
            values[channel] = np.clip(values[channel], low, high)
        return Curves(np.stack([values[c] for c in CHANNELS], 1), fps)


def _motion(entry: dict[str, Any]) -> Motion:
    tracks = tuple(Track(**track) for track in entry["tracks"])
    for track in tracks:
        if track.channel not in CHANNELS or track.kind not in get_args(Kind):
            raise ValueError(f"unknown channel {track.channel!r} or kind {track.kind!r}")
        if not all(np.isfinite([track.amplitude, track.hz, track.delay_s])):
            raise ValueError(f"{track.channel} is not finite")
    return Motion(str(entry["doing"]), tracks, bool(entry["mirrored"]))


def _ease(t: Array, rise_s: float) -> Array:
    x = np.clip(t / rise_s, 0, 1)
    return np.asarray(x * x * (3 - 2 * x))


def _play(track: Track, t: Array, tempo: float, rng: np.random.Generator) -> Array:
    """The track as a curve of height about 1 that shows itself however short the clip is."""
    since, length_s = t - track.delay_s * min(1.0, t[-1]), max(float(t[-1]), 1e-3)
    if track.kind == "hold":
        return _ease(since, min(_RISE_S / tempo, 0.5 * length_s))
    hz = max(track.hz * tempo, 1 / length_s)  # a short clip still shows one whole swing
    if track.kind == "wave":
        return np.asarray(np.sin(2 * np.pi * hz * since) * _ease(since, 0.5 / hz))
    phase = np.cumsum(np.r_[0, np.diff(since)] * hz * rng.uniform(0.7, 1.3, len(t)))
    loudness = 0.75 + 0.25 * np.sin(2 * np.pi * (0.35 * hz * since + rng.random()))
    return np.asarray(np.sin(np.pi * phase) ** 2 * loudness * _ease(since, min(0.3, 0.3 * length_s)))


def _life(t: Array, channel: Channel, rng: np.random.Generator) -> Array:
    """Nobody keeps quite still: slow drift below a degree, and a blink now and then."""
    drift = 0.5 * np.sin(2 * np.pi * (rng.uniform(0.15, 0.35) * t + rng.random()))
    if channel in POSE:
        return np.asarray(drift - drift[0])
    if channel != "blink":
        return np.zeros_like(t)
    first, gap = rng.uniform(0.3, _BLINKS_EVERY_S), rng.uniform(0.7, 1.3) * _BLINKS_EVERY_S
    distance = np.abs((t - first + gap / 2) % gap - gap / 2) + np.where(t < first - gap / 2, gap, 0)
    return np.asarray(np.clip(1.5 - distance / (_BLINK_S / 2), 0, 1))
