"""A corpus of composed clips: a manifest whose every answer is known, because everything was commanded.

Each scene (place, clothes, motion, light, size, sharpness, colour) is filmed with every subject and again
with strangers, so nothing but the face tells who is there."""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from pvchat.datamodules.manifest import Record, Split, write_manifest
from pvchat.errors import UserError
from pvchat.subjects import check_name
from pvchat.synthesis.composer import Scene
from pvchat.synthesis.executors import LocalExecutor
from pvchat.synthesis.gate import IdentityGate
from pvchat.synthesis.pipeline.filming import Camera, Clip, film
from pvchat.synthesis.pipeline.finishing import record_of
from pvchat.synthesis.pipeline.head_studio import HeadStudio
from pvchat.synthesis.pipeline.overview import write_overview
from pvchat.synthesis.pipeline.takes import SPLITS, Cast, SplitSize, plan_takes
from pvchat.synthesis.portraits import Portrait
from pvchat.synthesis.questions import QuestionCounts, clip_qa

Portraits = Mapping[Split, Sequence[Portrait]]


@dataclass(frozen=True)
class CorpusSettings:
    """How much is composed, and how. By default 28 clips of each subject and 56 of strangers to train,
    12 and 12 to validate, 24 and 24 to test.

    ``grayscale``: None shows all heads of a scene in grey if one of its portraits is grey; True and False
    decide for all. ``new_places_in_test``: the kinds of places of the test occur in no other split.
    ``photos``: also write the first frame of each clip as png."""

    train: SplitSize = field(default_factory=lambda: SplitSize(28, 2))
    validation: SplitSize = field(default_factory=lambda: SplitSize(12))
    test: SplitSize = field(default_factory=lambda: SplitSize(24))
    questions: QuestionCounts = field(default_factory=QuestionCounts)
    num_frames: int = 10
    size_px: int = 224
    grayscale: bool | None = None
    new_places_in_test: bool = False
    photos: bool = False

    def size(self, split: Split) -> SplitSize:
        return {"train": self.train, "validation": self.validation}.get(split, self.test)


@dataclass(frozen=True)
class RawClip:
    """Real footage taken over as it is: the file is copied, the seconds from ``start_s`` to ``end_s`` count.
    ``subject`` is who is in it, None for a stranger; ``source_id`` defaults to the name of the file."""

    path: Path
    subject: str | None
    start_s: float | None = None
    end_s: float | None = None
    split: Split = "test"
    source_id: str | None = None
    licence: str = "not stated"
    consent: str = "not stated"


def build_corpus(
    *,
    subjects: Sequence[str],
    positives: Mapping[str, Portraits],
    negatives: Portraits,
    out: str | Path,
    seed: int,
    raw: Sequence[RawClip] = (),
    settings: CorpusSettings | None = None,
    gates: Mapping[str, IdentityGate] | None = None,
    notes: Sequence[str] = (),
    progress: bool = False,
) -> Path:
    """Compose the clips, write them under ``out`` and return the path of ``manifest.jsonl``.

    The ``subjects`` (``positives``: name -> portraits by split) are told from the ``negatives`` (portraits by
    split) and from each other: every scene is filmed with each of them. ``raw`` clips are added as they are.
    ``gates`` (subject -> gate) judge the clips. The same seed gives the same bytes. ``out`` is there whole or
    not at all, with a contact sheet that also has the ``notes``. ``progress`` shows a bar.
    Raises UserError if somebody has no portrait for a split, a stranger of the test is also trained on, or
    ``out`` holds something."""
    out, settings = Path(out), settings or CorpusSettings()
    _check(subjects, positives, negatives, settings)
    _check_raw(raw, subjects)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"a corpus needs a folder of its own: {out} is there and not empty. Choose another.")
    partial = out.with_name(f".{out.name}.{os.getpid()}")
    sizes = {split: settings.size(split) for split in SPLITS}
    casts = {
        split: Cast({n: positives[n].get(split, ()) for n in subjects}, negatives.get(split, ()))
        for split in SPLITS
    }
    studio = HeadStudio(
        num_frames=settings.num_frames,
        size_px=settings.size_px,
        grayscale=settings.grayscale,
        new_places_in_test=settings.new_places_in_test,
        seed=seed,
    )
    try:
        total = sum(size.scenes * (len(subjects) + size.strangers) for size in sizes.values())
        with tqdm(total=total, desc="clips", unit="clip", disable=not progress) as bar:
            filmed = film(
                plan_takes(studio, casts, sizes, seed=seed),
                SPLITS,
                camera=Camera(studio=studio, folder=partial, gates=gates, photos=settings.photos),
                executor=LocalExecutor(),
                done=bar.update,
            )
        records = [_record(clip, studio, subjects, settings) for clip in filmed.kept]
        records += [_take_over(clip, n, subjects, partial, seed, settings) for n, clip in enumerate(raw)]
        write_overview(partial, records, notes=notes, scenes_lost=filmed.lost)
        write_manifest(partial / "manifest.jsonl", records)
        if out.exists():
            out.rmdir()
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return out / "manifest.jsonl"


def _record(
    clip: Clip[Portrait, Scene], studio: HeadStudio, subjects: Sequence[str], settings: CorpusSettings
) -> Record:
    take = clip.take
    presence = {name: name == take.subject for name in subjects}
    rng = np.random.default_rng([take.scene.seed, take.role, 1])
    return replace(
        record_of(clip, studio, subjects), qa=clip_qa(presence, take.scene, rng, settings.questions)
    )


def _take_over(
    clip: RawClip,
    number: int,
    subjects: Sequence[str],
    out: Path,
    seed: int,
    settings: CorpusSettings,
) -> Record:
    """Copy a raw clip into the corpus. All that is known of it is who is in it."""
    path = out / "raw" / f"{number:02d}-{clip.path.name}"
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(clip.path, path)
    presence = {name: name == clip.subject for name in subjects}
    rng = np.random.default_rng([seed, number, 17])
    return Record(
        id=f"{clip.split}-raw-{number:02d}",
        path=path,
        start_s=clip.start_s,
        end_s=clip.end_s,
        presence=presence,
        source_id=clip.source_id or clip.path.stem,
        origin="negative" if clip.subject is None else "real",
        split=clip.split,
        licence=clip.licence,
        consent=clip.consent,
        qa=clip_qa(presence, None, rng, settings.questions),
    )


def _check(
    subjects: Sequence[str],
    positives: Mapping[str, Portraits],
    negatives: Portraits,
    settings: CorpusSettings,
) -> None:
    for name in subjects:
        check_name(name)
        if name not in positives:
            raise UserError(f"each subject must have portraits: {name!r} has none, {sorted(positives)} have.")
    for split in SPLITS:
        size = settings.size(split)
        if not size.scenes:
            continue
        for name in subjects:
            if not positives[name].get(split):
                raise UserError(
                    f"each subject must have portraits in each split: {name!r} has none in {split!r}."
                )
        people = len({p.person for p in negatives.get(split, ())})
        if people < size.strangers:
            raise UserError(
                f"{size.strangers} strangers a scene need as many different people: {split!r} has {people}. "
                "Give more negatives or ask for fewer."
            )
    trained = {p.person for split in SPLITS[:2] for p in negatives.get(split, ())}
    if seen := sorted(trained & {p.person for p in negatives.get("test", ())}):
        raise UserError(
            f"strangers of the test must be new people: {seen[0]!r} is also in training or validation."
        )


def _check_raw(raw: Sequence[RawClip], subjects: Sequence[str]) -> None:
    for clip in raw:
        if clip.subject is not None and clip.subject not in subjects:
            raise UserError(
                f"a raw clip must show a subject of the corpus or None: {clip.path.name} shows "
                f"{clip.subject!r}, the subjects are {list(subjects)}."
            )
        if not clip.path.is_file():
            raise UserError(f"the raw clip {clip.path} does not exist.")
