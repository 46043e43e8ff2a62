"""Takes become clips on disk, each once: what is there already with the same history is not made again."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Generic

from pvchat.datamodules.manifest import Split
from pvchat.errors import UserError
from pvchat.synthesis.gate import IdentityGate
from pvchat.synthesis.pipeline.history import History, Score, fingerprint, read_history
from pvchat.synthesis.pipeline.takes import A, S, Studio, Take
from pvchat.synthesis.roles import Executor, Frames
from pvchat.synthesis.writing import write_photo, write_video

CLIPS, REJECTS = "clips", "rejects"
ATTEMPTS = 3


@dataclass(frozen=True)
class Clip(Generic[A, S]):
    """A take that was filmed, where, and how it was judged."""

    take: Take[A, S]
    path: Path
    history: History


@dataclass(frozen=True)
class Filmed(Generic[A, S]):
    """Clips that are used and those that are not. A scene is used whole or not at all: one that shows only
    some of its cast would tell who is who."""

    kept: list[Clip[A, S]]
    rejected: list[Clip[A, S]]
    lost: int  # scenes that failed in every attempt


class Camera(Generic[A, S]):
    """Films takes into ``folder`` and has ``gates`` (subject -> gate) judge them. ``photos``: the first frame
    also as png."""

    def __init__(
        self,
        *,
        studio: Studio[A, S],
        folder: Path,
        gates: Mapping[str, IdentityGate] | None = None,
        photos: bool = False,
    ) -> None:
        self.studio, self.folder, self.photos = studio, folder, photos
        self.gates = dict(gates or {})

    def __call__(self, take: Take[A, S]) -> History:
        """The history of the clip, which is filmed first where it is not there."""
        judges = [(n, g.fingerprint) for n, g in self.gates.items()]
        key = fingerprint(self.studio.adapter, judges, self.photos, take)
        for place in (CLIPS, REJECTS):
            path = self.folder / place / f"{take.id}.mp4"
            history = read_history(path.with_suffix(".json"))
            if history is not None and history.key == key and _sha256(path) == history.sha256:
                return history
        made = self.studio.shoot(take.actor, take.scene)
        scores, passed = self._judged(made.frames, take.subject)
        path = self.folder / (CLIPS if passed else REJECTS) / f"{take.id}.mp4"
        write_video(path, made.frames, fps=round(made.fps))
        if self.photos:
            write_photo(path.with_suffix(".png"), made.frames[0])
        history = History(
            take.id,
            key,
            _sha256(path),
            take.actor.person,
            made.adapter,
            made.seed,
            made.command,
            made.inputs,
            passed,
            scores,
        )
        history.write(path.with_suffix(".json"))  # last: it says that the clip is whole
        return history

    def _judged(self, frames: Frames, subject: str | None) -> tuple[dict[str, Score], bool]:
        scores, passed = {}, True
        for name, gate in self.gates.items():
            verdict = gate.judge(frames) if name == subject else gate.judge_negative(frames)
            scores[name] = Score.of(verdict)
            passed = passed and verdict.passed
        return scores, passed


def film(
    plan: Callable[[Split, int], list[list[Take[A, S]]]],
    splits: Sequence[Split],
    *,
    camera: Camera[A, S],
    executor: Executor,
    attempts: int = ATTEMPTS,
    done: Callable[[], object] = lambda: None,
) -> Filmed[A, S]:
    """Film the takes of ``splits``. A scene of which a clip is rejected is replaced, in ``attempts`` in all.
    ``done`` is called for each clip. Raises UserError if more than half of the scenes of a split are lost."""
    kept: list[Clip[A, S]] = []
    rejected: list[Clip[A, S]] = []
    lost = 0
    for split in splits:
        scenes = plan(split, 0)
        waiting = list(range(len(scenes)))
        good: dict[int, list[Clip[A, S]]] = {}
        for attempt in range(attempts):
            if not waiting:
                break
            if attempt:
                scenes = plan(split, attempt)
            takes = [take for n in waiting for take in scenes[n]]
            made = _film_all(takes, camera, executor, done)
            for n in list(waiting):
                clips = [next(made) for _ in scenes[n]]
                if all(clip.history.passed for clip in clips):
                    good[n] = clips
                    waiting.remove(n)
                else:
                    rejected += clips
        if len(waiting) > len(scenes) / 2:
            last = [c.history for c in rejected if not c.history.passed][-1]
            raise UserError(
                f"clips must show who they should: {len(waiting)} of {len(scenes)} {split!r} scenes failed "
                f"{attempts} times, such as {last.id} ({last.reason}) Give clearer pictures, or "
                "a laxer gate (--gate.far)."
            )
        lost += len(waiting)
        kept += [clip for n in sorted(good) for clip in good[n]]
    return Filmed(kept, rejected, lost)


def _film_all(
    takes: Sequence[Take[A, S]], camera: Camera[A, S], executor: Executor, done: Callable[[], object]
) -> Iterator[Clip[A, S]]:
    histories = executor.map(partial(_same, camera), takes)
    for take, history in zip(takes, histories, strict=True):
        done()
        place = CLIPS if history.passed else REJECTS
        yield Clip(take, camera.folder / place / f"{take.id}.mp4", history)


def _same(camera: Camera[A, S]) -> Camera[A, S]:
    return camera


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
