"""Is the person of a made clip still the subject? Every clip of every generator passes here or is left out.

The threshold comes from real impostors: people who are not the subject, none of them of a test."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import NormalDist, fmean, stdev
from typing import Literal

import numpy as np

from pvchat.datamodules.video import sample_indices
from pvchat.errors import UserError
from pvchat.faces import SAME_PERSON, Face, FaceAnalyzer, Vector
from pvchat.synthesis.identities import OTHER_PERSON
from pvchat.synthesis.likeness import Look, distance
from pvchat.synthesis.roles import Frames

LEAST_SEEN = 0.6
"""Share of the frames in which a clip must show the face."""
SURELY = 0.35
"""Impostors nearer than this are taken for photos of the subject and not used: of 8,131 pairs of different
people none was nearer than .39."""
LEAST_FITTED = 10
_MOVED = 0.75  # faces whose centres are nearer than this share of their size are one face moving

Rule = Literal["quantile", "normal", "default"]


@dataclass(frozen=True)
class Verdict:
    """``distance`` is that of the judged face to the nearest reference, the median over the frames that show
    it; infinite without a face. ``seen`` is the share of frames that show it; ``reason`` a sentence."""

    passed: bool
    distance: float
    seen: float
    people: int
    reason: str


@dataclass(frozen=True)
class Calibration:
    """Where a ``threshold`` comes from: ``quantile`` of ``impostors`` people, a ``normal`` distribution
    fitted to them where they are too few for that, or the ``default`` for want of both. ``left_out``
    impostors looked too much like the subject to be anybody else."""

    threshold: float
    far: float
    rule: Rule
    impostors: int
    left_out: int


def calibrate(references: Look, impostors: Sequence[Look], *, far: float = 0.01) -> Calibration:
    """The threshold that a share ``far`` of impostors stays below, and never above ``OTHER_PERSON``: a few
    impostors who look unlike the subject would let through whoever looks alike. One look a person."""
    if not 0 < far < 1:
        raise UserError(f"far, the share of impostors that may pass, must be in (0, 1): got {far}.")
    if not len(references):
        raise UserError("an identity gate needs at least one reference with a face: got none.")
    away = sorted(d for look in impostors if math.isfinite(d := distance(references, look)))
    others = [d for d in away if d >= SURELY]
    rank = int(far * (len(others) + 1))  # one more impostor is as likely in each gap between these
    rule: Rule
    if rank >= 1:
        rule, threshold = "quantile", others[rank - 1]
    elif len(others) >= LEAST_FITTED:
        rule, threshold = "normal", fmean(others) + NormalDist().inv_cdf(far) * stdev(others)
    else:
        rule, threshold = "default", SAME_PERSON
    threshold = min(max(threshold, SURELY), OTHER_PERSON)
    return Calibration(threshold, far, rule, len(others), len(away) - len(others))


class IdentityGate:
    """Judges clips by ``references``, embeddings of the subject by ``faces``; ``num_frames`` of each are
    looked at. Faces are followed by place and likeness through the clip, each person on their own."""

    def __init__(
        self,
        *,
        references: Look,
        calibration: Calibration,
        faces: FaceAnalyzer,
        num_frames: int = 8,
    ) -> None:
        self.references, self.calibration = references, calibration
        self.faces, self.num_frames = faces, num_frames

    @property
    def fingerprint(self) -> str:
        """Names all that a verdict depends on."""
        looks = b"".join(np.asarray(v, np.float32).tobytes() for v in self.references)
        settings = repr((self.calibration.threshold, self.num_frames, self.faces.fingerprint))
        return hashlib.sha256(looks + settings.encode()).hexdigest()[:16]

    @classmethod
    def calibrated(
        cls, references: Look, impostors: Sequence[Look], *, faces: FaceAnalyzer, far: float = 0.01
    ) -> "IdentityGate":
        """See ``calibrate``."""
        return cls(references=references, calibration=calibrate(references, impostors, far=far), faces=faces)

    def judge(self, frames: Frames) -> Verdict:
        """Do ``frames`` (T, H, W, 3) show the subject? Of several people who are there long enough, the one
        most like the subject is judged, however small."""
        people, count = self._people(frames)
        if not people:
            return Verdict(False, math.inf, 0.0, 0, f"no face in any of {count} frames.")
        there = [p for p in people if p.seen(count) >= LEAST_SEEN]
        best = min(there or people, key=lambda p: p.distance)
        if not there:
            best = max(people, key=lambda p: p.seen(count))
            reason = (
                f"the face is lost: seen in {len(best.distances)} of {count} frames, "
                f"at least {math.ceil(LEAST_SEEN * count)} must show it."
            )
            return Verdict(False, best.distance, best.seen(count), len(people), reason)
        passed = best.distance < self.calibration.threshold
        return self._verdict(passed, best, count, len(people))

    def judge_negative(self, frames: Frames) -> Verdict:
        """Do ``frames`` (T, H, W, 3) show somebody, and nobody, even briefly, who passes as the subject?"""
        people, count = self._people(frames)
        if not people:
            return Verdict(False, math.inf, 0.0, 0, f"no face in any of {count} frames.")
        best = min(people, key=lambda p: p.distance)
        return self._verdict(best.distance >= self.calibration.threshold, best, count, len(people))

    def _verdict(self, passed: bool, best: "_Person", count: int, people: int) -> Verdict:
        side = "below" if best.distance < self.calibration.threshold else "not below"
        several = f", the nearest of {people} people" if people > 1 else ""
        reason = f"distance {best.distance:.2f} is {side} {self.calibration.threshold:.2f}{several}."
        return Verdict(passed, best.distance, best.seen(count), people, reason)

    def _people(self, frames: Frames) -> tuple[list["_Person"], int]:
        """Who is in the clip, and how many frames were looked at."""
        if len(frames) > self.num_frames:
            frames = frames[sample_indices(len(frames), self.num_frames, "middle")]
        people: list[_Person] = []
        for frame, found in zip(frames, self.faces.detect(frames), strict=True):
            looks = [self.faces.embed(frame, face) for face in found]
            pairs = sorted(
                (cost, i, j)
                for i, person in enumerate(people)
                for j in range(len(found))
                if (cost := person.unlike(found[j], looks[j])) < 1
            )
            owners: dict[int, int] = {}
            for _, i, j in pairs:
                if j not in owners and i not in owners.values():
                    owners[j] = i
            for j, (face, look) in enumerate(zip(found, looks, strict=True)):
                if j not in owners:
                    people.append(_Person(face, look))
                person = people[owners[j]] if j in owners else people[-1]
                person.face, person.look = face, look
                person.distances.append(distance(self.references, [look]))
        return people, len(frames)


@dataclass
class _Person:
    """A face followed through a clip: where and how it was last."""

    face: Face
    look: Vector
    distances: list[float] = field(default_factory=list)

    @property
    def distance(self) -> float:
        return float(np.median(self.distances))

    def seen(self, count: int) -> float:
        return len(self.distances) / count

    def unlike(self, face: Face, look: Vector) -> float:
        """Below 1 for what may be the same face a little later: by place, or else by likeness."""
        (x0, y0, x1, y1), (u0, v0, u1, v1) = self.face.box.tolist(), face.box.tolist()
        size = math.sqrt(min(self.face.area, face.area))
        moved = math.hypot(x0 + x1 - u0 - u1, y0 + y1 - v0 - v1) / 2 / size / _MOVED
        return min(moved, float(np.linalg.norm(self.look - look)) / SAME_PERSON)


@dataclass
class Tally:
    """Verdicts by adapter, for the report."""

    verdicts: dict[str, list[Verdict]] = field(default_factory=dict)

    def count(self, adapter: str, verdict: Verdict) -> Verdict:
        """Keep ``verdict``; returns it."""
        self.verdicts.setdefault(adapter, []).append(verdict)
        return verdict

    def rejected(self, adapter: str) -> float:
        """Share of the adapter's clips that did not pass."""
        return fmean(not v.passed for v in self.verdicts[adapter])

    def __str__(self) -> str:
        return "\n".join(
            f"{name}: {sum(not v.passed for v in verdicts)} of {len(verdicts)} clips rejected"
            for name, verdicts in self.verdicts.items()
        )
