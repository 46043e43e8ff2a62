"""Real people: does the identity gate let the subject in and others out?

    PVCHAT_MEDIA=... python -m benchmarks.gate

    photos      nine people, every two photos as references; their other photos, from other occasions, are to
                pass, and everybody else is not
    recordings  eleven people, two frames of the first third of a recording as references; its last third is
                to pass, and everybody else is not

The threshold comes from a random half of the other people, and strangers are the other half, so nobody sets
the threshold that tests him. The subject is the unit.
"""

import hashlib
from collections.abc import Callable, Mapping
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.people import SUBJECTS, TALKING, TV, media
from pvchat.datamodules.video import decode
from pvchat.faces import Face, FaceAnalyzer, Vector
from pvchat.reporting.table import Cell, render_table
from pvchat.statistics import bootstrap_interval
from pvchat.synthesis.gate import Calibration, IdentityGate, calibrate
from pvchat.synthesis.likeness import Look

FARS = (0.01, 0.05)
FIXED = (0.5, 0.55, 0.6)
REFERENCES = 2
Frames = npt.NDArray[np.uint8]
Rule = Callable[[Look, list[list[Vector]]], Calibration]


class Remembered(FaceAnalyzer):
    """Looks at the same frames once."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, list[Face]] = {}
        self.vectors: dict[tuple[str, bytes], Vector] = {}

    def detect(self, frames: Frames, *, min_probability: float | None = None) -> list[list[Face]]:
        names = [_name(frame) for frame in frames]
        for name, frame in zip(names, frames, strict=True):
            if name not in self.found:
                self.found[name] = super().detect(frame[None], min_probability=min_probability)[0]
        return [self.found[name] for name in names]

    def embed(self, frame: Frames, face: Face) -> Vector:
        key = _name(frame), face.box.tobytes()
        if key not in self.vectors:
            self.vectors[key] = super().embed(frame, face)
        return self.vectors[key]

    def look(self, clips: list[Frames]) -> list[Vector]:
        """The largest face of each frame."""
        frames = [frame for clip in clips for frame in clip]
        return [self.embed(f, found[0]) for f in frames if (found := self.detect(f[None])[0])]


def main() -> None:
    faces = Remembered()
    root = media()
    photos = {name: _photos(root / ("tv" if name in TV else "photos") / name) for name in SUBJECTS}
    photos["biden"] = _photos(root / "photos" / "biden")
    starts, ends = ({n: _third(root, n, last) for n in TALKING} for last in (False, True))
    rules: dict[str, Rule] = {
        f"calibrated, far {far}": lambda mine, others, far=far: calibrate(mine, others, far=far)
        for far in FARS
    }
    rules |= {f"fixed {t}": lambda *_, t=t: Calibration(t, 0.0, "default", 0, 0) for t in FIXED}
    rows: list[list[Cell]] = []
    everybody = photos | {n: [ends[n]] for n in TALKING}
    for title, rule in rules.items():
        taken = [_photos_of(name, everybody, rule, faces) for name in SUBJECTS]
        rows.append(["photos", title, *_cells(taken)])
    for title, rule in rules.items():
        taken = [_recording_of(name, starts[name], everybody, rule, faces) for name in TALKING]
        rows.append(["recordings", title, *_cells(taken)])
    print(
        render_table(
            ["test", "threshold", "value", "subject passes", "stranger passes"], rows, style="markdown"
        )
    )
    looks = {name: faces.look(clips) for name, clips in everybody.items()}
    same = [_distance(a, b) for n in SUBJECTS for a, b in combinations(looks[n], 2)]
    other = [_distance(a, b) for m, n in combinations(sorted(looks), 2) for a in looks[m] for b in looks[n]]
    print(
        f"\nPairs of photos of one person: {len(same)}, {np.median(same):.2f} apart in the median, at most "
        f"{max(same):.2f}; pairs of different people: {len(other)}, {np.median(other):.2f}, at least "
        f"{min(other):.2f}."
    )


def _photos_of(
    name: str, everybody: Mapping[str, list[Frames]], rule: Rule, faces: Remembered
) -> tuple[float, float, float]:
    """Threshold, share of the subject's photos and of strangers that pass; means over pairs of references."""
    mine, taken = everybody[name], []
    for number, chosen in enumerate(combinations(range(len(mine)), REFERENCES)):
        references = faces.look([mine[i] for i in chosen])
        tests = [clip for i, clip in enumerate(mine) if i not in chosen]
        taken.append(_judged(name, number, references, tests, everybody, rule, faces))
    return tuple(np.mean(taken, axis=0).tolist())


def _recording_of(
    name: str, start: Frames, everybody: Mapping[str, list[Frames]], rule: Rule, faces: Remembered
) -> tuple[float, float, float]:
    references = faces.look([start[[0, -1]]])
    return _judged(name, 0, references, everybody[name], everybody, rule, faces)


def _judged(
    name: str,
    number: int,
    references: Look,
    tests: list[Frames],
    everybody: Mapping[str, list[Frames]],
    rule: Rule,
    faces: Remembered,
) -> tuple[float, float, float]:
    others = sorted(everybody.keys() - {name})
    np.random.default_rng([sorted(everybody).index(name), number]).shuffle(others)
    half = len(others) // 2
    calibration = rule(references, [faces.look(everybody[n]) for n in others[:half]])
    gate = IdentityGate(references=references, calibration=calibration, faces=faces)
    subject = np.mean([gate.judge(clip).passed for clip in tests])
    strangers = [np.mean([gate.judge(clip).passed for clip in everybody[n]]) for n in others[half:]]
    return calibration.threshold, float(subject), float(np.mean(strangers))


def _cells(taken: list[tuple[float, float, float]]) -> list[Cell]:
    value, *shares = zip(*taken, strict=True)
    return [f"{np.mean(value):.2f} ({min(value):.2f}-{max(value):.2f})", *map(bootstrap_interval, shares)]


def _photos(folder: Path) -> list[Frames]:
    return [decode(f, num_frames=1).frames for f in sorted(folder.iterdir()) if f.suffix in (".png", ".jpg")]


def _third(root: Path, name: str, last: bool) -> Frames:
    frames = decode(root / "talking" / f"{name}.mp4", num_frames=24).frames
    return frames[16:] if last else frames[:8]


def _distance(a: Vector, b: Vector) -> float:
    return float(np.linalg.norm(a - b))


def _name(frame: Frames) -> str:
    return hashlib.sha256(np.ascontiguousarray(frame)).hexdigest()


if __name__ == "__main__":
    main()
