"""The corpora of Table 4 in small: all from one picture of the subject, each with one more kind of clip.

    one positive   the picture itself, the head alone, in variants; only questions answered with yes
    + negatives    pictures of other people in the same framing
    + scenes       the heads of all of them in drawn places, clothes and light (the paper: ConsisID)
    + motions      all of them animated (the paper: LivePortrait)

Everybody gets the same scenes, motions and framing. All four are tested on the same clips: real ones, and
real heads in scenes that no training saw, where only the face tells who is there."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.people import (
    QUESTIONS,
    RECORDED,
    Case,
    Shot,
    asked,
    augmented,
    framed,
    photo_case,
    talking_case,
)
from pvchat.datamodules.manifest import Record, Split, read_manifest, write_manifest
from pvchat.datamodules.video import decode
from pvchat.faces import Face, FaceAnalyzer
from pvchat.synthesis.animation.animator import WarpAnimator
from pvchat.synthesis.backgrounds import BACKGROUNDS
from pvchat.synthesis.casting import deal, scenes
from pvchat.synthesis.composer import compose, match
from pvchat.synthesis.portraits import Portrait, cut_portrait
from pvchat.synthesis.roles import Frames
from pvchat.synthesis.writing import write_photo, write_video

STEPS = ("one positive", "+ negatives", "+ scenes", "+ motions")
MINE, OTHERS = 12, 2  # clips of the subject that a step adds, and of others to each of them
VALIDATED, TESTED = 8, 8  # variants of the picture that set the threshold; scenes to test in
MOTIONS = ("nod", "shake", "smile", "anger", "question")
FRAMES, FPS = 5, 2.5
ANIMATED_PX, AROUND = 288, 0.6  # of the photo that is animated: its side, and what is left around the face


def one_picture(setting: str, subject: str, seed: int) -> Case:
    """Who is learned from one picture; ``clips`` are tested on clips of the last third of a recording."""
    if setting == "photos":
        return photo_case((subject,), seed, photos=1)
    case = talking_case((subject,), seed, photos=1)
    starts = (0.675, 0.775, 0.875)
    first = {s.who: s for s in case.test}
    clips = [Shot(who, s.file, at, round(RECORDED / 10) + 1) for who, s in first.items() for at in starts]
    return replace(case, test=tuple(clips))


def build(case: Case, out: Path, *, faces: FaceAnalyzer, animator: WarpAnimator) -> dict[str, Path]:
    """Write the clips once and a manifest for each of ``STEPS``; returns the manifests."""
    studio = _Studio(case, out / "clips", faces, animator)
    grown = list(studio.training())
    shared = [*studio.validation(), *studio.test()]
    manifests = manifests_in(out)
    for step, manifest in enumerate(manifests.values()):
        write_manifest(manifest, [*(r for at, r in grown if at <= step), *shared])
    return manifests


def manifests_in(out: Path) -> dict[str, Path]:
    """Where ``build`` writes the manifest of each of ``STEPS``."""
    return {step: out / step.strip("+ ").replace(" ", "-") / "manifest.jsonl" for step in STEPS}


def without_faces(manifest: Path, *, faces: FaceAnalyzer) -> Path:
    """The scenes of a corpus with every head painted over, for a model that sees everything but the face. Of
    the other clips, which are faces alone, nothing would be left."""
    out = manifest.parent.with_name("without-faces")
    records = []
    for record in (r for r in read_manifest(manifest) if "-scene-" in r.id):
        frames = faces.blank_heads(decode(record.path, num_frames=FRAMES - 1).frames)  # those that are shown
        write_video(out / record.path.name, np.concatenate([frames, frames[-1:]]), fps=round(FPS))
        records.append(replace(record, path=out / record.path.name))
    write_manifest(out / "manifest.jsonl", records)
    return out / "manifest.jsonl"


def steps_per_epoch(step: str) -> int:
    """Batches of four: every clip once, and those of the subject as often as those of others."""
    added = STEPS.index(step)
    return MINE * (2 * OTHERS * added if added else 1) // 4


class _Studio:
    """Makes the clips of a case under ``out``."""

    def __init__(self, case: Case, out: Path, faces: FaceAnalyzer, animator: WarpAnimator) -> None:
        self.case, self.out, self.faces, self.animator = case, out, faces, animator
        self.subject = case.subjects[0]
        self.rng = np.random.default_rng([*self.subject.encode(), case.seed, 4])
        self._found: dict[Shot, Face] = {}
        self._portraits: dict[Shot, Portrait] = {}

    def training(self) -> Iterator[tuple[int, Record]]:
        """Clips with the index of the step that adds them."""
        (mine,) = (s for s in self.case.train if s.who == self.subject)
        others = _in_turn([s for s in self.case.train if s.who != self.subject], self.rng)
        for n, image in enumerate(augmented(self._picture(mine), MINE, self.rng)):
            yield 0, self._write(f"train-photo-{n:02d}-0", image, mine)
        for n in range(MINE * OTHERS):
            shot = next(others)
            (image,) = augmented(self._picture(shot), 1, self.rng)
            yield 1, self._write(f"train-photo-{n // OTHERS:02d}-{n % OTHERS + 1}", image, shot)
        casts = ([mine, *(next(others) for _ in range(OTHERS))] for _ in range(MINE))
        yield from ((2, record) for record in self._filmed("train", casts))
        motions, wanted = deal(self.rng, MOTIONS), []
        for n in range(MINE):
            motion, seed = next(motions), int(self.rng.integers(1 << 31))
            for role, shot in enumerate([mine, *(next(others) for _ in range(OTHERS))]):
                wanted.append((f"train-{motion}-{n:02d}-{role}", shot, motion, seed))
        for name, shot, motion, seed in sorted(wanted, key=lambda w: w[1].name):  # a photo is prepared once
            yield 3, self._write(name, self._animated(shot, motion, seed), shot)

    def validation(self) -> Iterator[Record]:
        """Other variants of the picture and people who are in no other split."""
        for shot in self.case.validation:
            variants = VALIDATED if shot.who == self.subject else 1
            for n, image in enumerate(augmented(self._picture(shot), variants, self.rng)):
                yield self._write(f"validation-{shot.name}-{n}", image, shot)

    def test(self) -> Iterator[Record]:
        """Real clips as they are, and their heads in new scenes: the subject and, in the same, a stranger."""
        for shot in self.case.test:
            yield self._write(f"test-real-{shot.name}", self._head(shot, shot.frames), shot)
        mine = deal(self.rng, [s for s in self.case.test if s.who == self.subject])
        others = _in_turn([s for s in self.case.test if s.who != self.subject], self.rng)
        yield from self._filmed("test", ([next(mine), next(others)] for _ in range(TESTED)))

    def _filmed(self, split: Split, casts: Iterable[Sequence[Shot]]) -> Iterator[Record]:
        """A scene for each of ``casts``, in which everybody of it is filmed."""
        in_turn = scenes(self.rng, list(BACKGROUNDS))
        for n, (cast, scene) in enumerate(zip(casts, in_turn, strict=False)):
            portraits = [self._portrait(shot) for shot in cast]
            scene = match(scene, portraits)
            for role, (shot, portrait) in enumerate(zip(cast, portraits, strict=True)):
                frames = compose(portrait, scene, num_frames=FRAMES)
                yield self._write(f"{split}-scene-{n:02d}-{role}", frames, shot)

    def _face(self, shot: Shot) -> Face:
        if shot not in self._found:
            self._found[shot] = self.faces.detect(shot.frame[None])[0][0]
        return self._found[shot]

    def _portrait(self, shot: Shot) -> Portrait:
        if shot not in self._portraits:
            face = self._face(shot)
            self._portraits[shot] = cut_portrait([shot.frame], [face], person=shot.who, source_id=shot.name)
        return self._portraits[shot]

    def _picture(self, shot: Shot) -> Image.Image:
        return Image.fromarray(self._head(shot, shot.frame[None])[0])

    def _head(self, shot: Shot, frames: Frames) -> Frames:
        """The head alone, where it is in the first frame, before plain grey: nothing else may tell."""
        return self._framed(frames, None if shot.cropped else self._face(shot))

    def _animated(self, shot: Shot, motion: str, seed: int) -> Frames:
        """The same of somebody who moves."""
        photo, face = shot.frame, None
        if not shot.cropped:
            photo = self.faces.crop(photo, self._face(shot), ANIMATED_PX, AROUND)
            low, high = ANIMATED_PX * AROUND / (1 + 2 * AROUND), ANIMATED_PX * (1 + AROUND) / (1 + 2 * AROUND)
            face = replace(self._face(shot), box=np.array([low, low, high, high], np.float32))
        made = self.animator.animate(photo, motion, seed=seed, num_frames=FRAMES, fps=FPS)
        return self._framed(made.frames, face)

    def _framed(self, frames: Frames, face: Face | None) -> Frames:
        pictures = (framed(f, face, self.faces, grey=self.case.grey, oval=True) for f in frames)
        return np.stack([np.asarray(p) for p in pictures])

    def _write(self, name: str, frames: Frames | Image.Image, shot: Shot) -> Record:
        pixels = np.atleast_3d(np.asarray(frames))
        still = pixels.ndim == 3 or len(pixels) == 1
        path = self.out / f"{name}.{'png' if still else 'mp4'}"
        if still:
            write_photo(path, pixels.reshape(pixels.shape[-3:]))
        else:
            write_video(path, pixels, fps=round(FPS))
        split: Split = name.split("-")[0]  # type: ignore[assignment]
        mine = shot.who == self.subject
        made = split == "train" or "-scene-" in name
        return Record(
            id=name,
            path=path,
            presence={self.subject: mine},
            source_id=shot.name,
            origin="negative" if not mine else "warp" if made else "real",
            split=split,
            licence="not stated",
            consent="not stated",
            qa=asked(self.case.subjects, QUESTIONS if split == "train" else QUESTIONS[:2], shot.who),
        )


def _in_turn(shots: Sequence[Shot], rng: np.random.Generator) -> Iterator[Shot]:
    """Everybody in turn, each with another of their pictures."""
    people: dict[str, list[Shot]] = {}
    for shot in shots:
        people.setdefault(shot.who, []).append(shot)
    decks = {who: deal(rng, own) for who, own in people.items()}
    return (next(decks[who]) for who in deal(rng, list(people)))
