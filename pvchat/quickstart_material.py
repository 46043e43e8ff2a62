"""Whom the quickstart learns and whom it must not mistake for them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pvchat.assets import asset
from pvchat.datamodules.manifest import Split
from pvchat.datamodules.video import PHOTOS, clip_seconds
from pvchat.errors import UserError
from pvchat.faces import FaceAnalyzer
from pvchat.synthesis.builder import RawClip
from pvchat.synthesis.identities import default_negatives, passenger
from pvchat.synthesis.portraits import Portrait, clip_portraits, photo_portraits

Portraits = dict[Split, list[Portrait]]
TRAIN_UNTIL, VALIDATION_UNTIL = 0.5, 0.65
"""Parts of a recording: training, validation, test, as shares of its length."""
LEAST_PEOPLE = 4


@dataclass(frozen=True)
class Material:
    """Portraits by split, real clips for the test as they are, and a ``story``: what kind of test this is."""

    subject: str
    positives: Portraits
    negatives: Portraits
    story: str
    raw: list[RawClip] = field(default_factory=list)


def default_material(*, faces: FaceAnalyzer, seed: int) -> Material:
    """The talking man of a public test sequence, against people made from faces in packages."""
    clip = asset("carphone")
    seconds = clip_seconds(clip)
    subject = "tom"
    positives: Portraits = {
        split: passenger(faces, start_s=start, end_s=end, count=count, person=subject)
        for split, start, end, count in _windows(seconds)
    }
    everyone = [p for group in positives.values() for p in group]
    negatives = default_negatives(everyone, faces=faces, seed=seed)
    others = len({p.person for group in negatives.values() for p in group})
    return Material(
        subject=subject,
        positives=positives,
        negatives=negatives,
        raw=[RawClip(clip, subject, start_s=VALIDATION_UNTIL * seconds)],
        story=(
            f"What kind of test this is: {subject} is a real talking person, learned from the first half of "
            f"a {seconds:.0f} s recording and tested on its last third, in other scenes. The {others} other "
            "people are real faces from packages and faces reshaped from them, each checked by a face "
            "embedding to be somebody else; nobody is in both training and test, and all share the same "
            "scenes, clothes and motions. One recording and few real people: this shows that the method "
            "learns, not how well it does in the wild."
        ),
    )


def own_material(
    subject: str,
    reference: Sequence[str],
    negatives: str,
    *,
    faces: FaceAnalyzer,
    face: int | None = None,
) -> Material:
    """The user's person and other people. Recordings are cut in time and photos kept apart for the test.

    Raises UserError for material that cannot be used."""
    positives, raw, how = _own_positives(subject, _files(reference), faces=faces, face=face)
    people = _people(Path(negatives))
    others: Portraits = {"train": [], "validation": [], "test": []}
    for number, (name, files) in enumerate(people.items()):
        # every fourth for the test, then one for validation, the rest for training
        split: Split = "test" if number % 4 == 1 else "validation" if number % 8 == 2 else "train"
        for file in files:
            others[split] += _portraits(file, name, faces=faces, face=None, count=2)
            if split == "test":
                raw.append(RawClip(file, None))
    counts = ", ".join(f"{len({p.person for p in group})} {split}" for split, group in others.items())
    return Material(
        subject=subject,
        positives=positives,
        negatives=others,
        raw=raw,
        story=(
            f"What kind of test this is: {subject} {how}; other people: {counts}, nobody in two of these. "
            "All are shown in the same scenes, clothes and motions; the test also has your own test "
            "material as it is."
        ),
    )


def _own_positives(
    subject: str, files: Sequence[Path], *, faces: FaceAnalyzer, face: int | None
) -> tuple[Portraits, list[RawClip], str]:
    """Portraits of the subject by split, test material as it is, and how the two are related."""
    clips = [f for f in files if f.suffix.lower() not in PHOTOS]
    photos = [f for f in files if f.suffix.lower() in PHOTOS]
    if len(clips) == 1 and len(photos) < 2:
        seconds = clip_seconds(clips[0])
        positives: Portraits = {
            split: clip_portraits(
                clips[0], faces=faces, person=subject, start_s=start, end_s=end, count=count, face=face
            )
            for split, start, end, count in _windows(seconds)
        }
        for photo in photos:
            positives["train"] += photo_portraits(photo, faces=faces, person=subject, face=face)
        raw = [RawClip(clips[0], subject, start_s=VALIDATION_UNTIL * seconds)]
        return positives, raw, "is learned from the first half of a recording and tested on its last third"
    if len(files) == 1:
        portraits = _portraits(files[0], subject, faces=faces, face=face, count=1)
        same: Portraits = {"train": portraits, "validation": portraits, "test": portraits}
        return same, [], "is learned from one photo and tested on that photo in other scenes"
    kept = max(1, len(files) // 3)
    train, test = files[:-kept], files[-kept:]
    groups = {
        split: [p for f in part for p in _portraits(f, subject, faces=faces, face=face, count=4)]
        for split, part in (("train", train), ("test", test))
    }
    positives = {"train": groups["train"], "validation": groups["train"], "test": groups["test"]}
    how = f"is learned from {len(train)} photos or clips and tested on {len(test)} others"
    return positives, [RawClip(f, subject) for f in test], how


def _portraits(
    file: Path, person: str, *, faces: FaceAnalyzer, face: int | None, count: int
) -> list[Portrait]:
    if file.suffix.lower() in PHOTOS:
        return photo_portraits(file, faces=faces, person=person, face=face)
    return clip_portraits(file, faces=faces, person=person, face=face, count=count)


def _windows(seconds: float) -> list[tuple[Split, float, float, int]]:
    """Split, start, end in seconds, and how many portraits are cut there."""
    return [
        ("train", 0.0, TRAIN_UNTIL * seconds, 4),
        ("validation", TRAIN_UNTIL * seconds, VALIDATION_UNTIL * seconds, 1),
        ("test", VALIDATION_UNTIL * seconds, seconds, 3),
    ]


def _files(places: Sequence[str]) -> list[Path]:
    """Files named, and files in the folders named. Raises UserError."""
    found: list[Path] = []
    for place in map(Path, places):
        inside = sorted(f for f in place.iterdir() if f.is_file()) if place.is_dir() else [place]
        found += [f for f in inside if not f.name.startswith(".")]
    if not found:
        raise UserError(f"--reference needs a clip or photos: {', '.join(map(str, places))} holds none.")
    return found


def _people(folder: Path) -> dict[str, list[Path]]:
    """Person -> files: a sub-folder is one person, so is a file beside it. Raises UserError."""
    if not folder.is_dir():
        raise UserError(f"--negatives is a folder of photos or clips of other people: {folder} is none.")
    people: dict[str, list[Path]] = {}
    for entry in sorted(e for e in folder.iterdir() if not e.name.startswith(".")):
        people[entry.name] = _files([str(entry)])
    if len(people) < LEAST_PEOPLE:
        raise UserError(
            f"--negatives needs at least {LEAST_PEOPLE} other people, a file or sub-folder each, to train "
            f"and test on different ones: {folder} has {len(people)}."
        )
    return people
