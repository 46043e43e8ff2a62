"""A corpus of composed clips: a manifest whose every answer is known, because everything was commanded.

Each scene (place, clothes, motion, light, size, sharpness, colour) is filmed with every subject and again
with strangers, so nothing but the face tells who is there."""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

from pvchat.datamodules.manifest import Record, Split, write_manifest
from pvchat.errors import UserError
from pvchat.subjects import check_name
from pvchat.synthesis.backgrounds import BACKGROUNDS
from pvchat.synthesis.casting import deal, scenes, strangers
from pvchat.synthesis.composer import Scene, compose, match
from pvchat.synthesis.portraits import Portrait
from pvchat.synthesis.questions import QuestionCounts, clip_qa
from pvchat.synthesis.writing import write_photo, write_video

Portraits = Mapping[Split, Sequence[Portrait]]
_SPLITS: tuple[Split, ...] = ("train", "validation", "test")


@dataclass(frozen=True)
class SplitSize:
    """Scenes of a split, and how many strangers are filmed in each of them besides the subjects."""

    scenes: int
    strangers: int = 1


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
    progress: bool = False,
) -> Path:
    """Compose the clips, write them under ``out`` and return the path of ``manifest.jsonl``.

    The ``subjects`` (``positives``: name -> portraits by split) are told from the ``negatives`` (portraits by
    split) and from each other: every scene is filmed with each of them. ``raw`` clips are added as they are.
    The same seed gives the same bytes. ``out`` is there whole or not at all. ``progress`` shows a bar.
    Raises UserError if somebody has no portrait for a split, a stranger of the test is also trained on, or
    ``out`` holds something."""
    out, settings = Path(out), settings or CorpusSettings()
    _check(subjects, positives, negatives, settings)
    _check_raw(raw, subjects)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"a corpus needs a folder of its own: {out} is there and not empty. Choose another.")
    partial = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        sizes = [settings.size(split) for split in _SPLITS]
        total = sum(size.scenes * (len(subjects) + size.strangers) for size in sizes)
        with tqdm(total=total, desc="clips", unit="clip", disable=not progress) as bar:
            records = list(_compose_all(subjects, positives, negatives, partial, seed, settings, bar.update))
        records += [_take_over(clip, n, subjects, partial, seed, settings) for n, clip in enumerate(raw)]
        write_manifest(partial / "manifest.jsonl", records)
        if out.exists():
            out.rmdir()
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return out / "manifest.jsonl"


def _compose_all(
    subjects: Sequence[str],
    positives: Mapping[str, Portraits],
    negatives: Portraits,
    out: Path,
    seed: int,
    settings: CorpusSettings,
    done: Callable[[], object],
) -> Iterator[Record]:
    """Write all composed clips and tell of each."""
    for split in _SPLITS:
        own = {name: positives[name].get(split, ()) for name in subjects}
        others = negatives.get(split, ())
        for n, (scene, cast) in enumerate(_film(own, others, split, seed, settings)):
            for role, (name, portrait) in enumerate(cast):
                clip_id = f"{split}-{n:03d}-{role}"
                frames = compose(portrait, scene, num_frames=settings.num_frames, size_px=settings.size_px)
                path = out / "clips" / f"{clip_id}.mp4"
                write_video(path, frames)
                if settings.photos:
                    write_photo(path.with_suffix(".png"), frames[0])
                presence = {other: other == name for other in subjects}
                rng = np.random.default_rng([scene.seed, role, 1])
                yield Record(
                    id=clip_id,
                    path=path,
                    presence=presence,
                    source_id=portrait.source_id,
                    background=scene.background,
                    clothes=str(scene.clothes),
                    motion=scene.motion,
                    origin="negative" if name is None else "warp",
                    split=split,
                    licence=portrait.licence,
                    consent=portrait.consent,
                    qa=clip_qa(presence, scene, rng, settings.questions),
                )
                done()


def _film(
    positives: Mapping[str, Sequence[Portrait]],
    negatives: Sequence[Portrait],
    split: Split,
    seed: int,
    settings: CorpusSettings,
) -> Iterator[tuple[Scene, list[tuple[str | None, Portrait]]]]:
    """The scenes of a split and who is filmed in each, with the name of a subject or None."""
    rng, size = np.random.default_rng([seed, _SPLITS.index(split)]), settings.size(split)
    in_turn = scenes(rng, _places(split, seed, settings))
    own = {name: deal(rng, portraits) for name, portraits in positives.items()}
    others = strangers(rng, negatives)
    for n in range(size.scenes):
        cast: list[tuple[str | None, Portrait]] = [(name, next(deck)) for name, deck in own.items()]
        cast += [(None, portrait) for portrait in others(size.strangers, n % 2 == 0)]
        yield match(next(in_turn), [p for _, p in cast], grayscale=settings.grayscale), cast


def _places(split: Split, seed: int, settings: CorpusSettings) -> list[str]:
    kinds = list(BACKGROUNDS)
    if not settings.new_places_in_test:
        return kinds  # the same kinds, but never the same picture
    kinds = [kinds[i] for i in np.random.default_rng([seed, 99]).permutation(len(kinds))]
    reserved = len(kinds) // 3
    return kinds[:reserved] if split == "test" else kinds[reserved:]


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
    for split in _SPLITS:
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
    trained = {p.person for split in _SPLITS[:2] for p in negatives.get(split, ())}
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
