"""Whom the quickstart learns and whom it must not mistake for them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from tqdm import tqdm

from pvchat.assets import asset
from pvchat.datamodules.manifest import Split
from pvchat.datamodules.video import clip_times
from pvchat.faces import FaceAnalyzer
from pvchat.quickstart.files import OwnFiles, check_length, listed, recording
from pvchat.quickstart.strangers import find_strangers, portraits_of
from pvchat.synthesis.builder import RawClip
from pvchat.synthesis.identities import default_negatives, passenger
from pvchat.synthesis.likeness import Look, check_one_person, distance, look
from pvchat.synthesis.pipeline.casts import TRAIN_UNTIL, VALIDATION_UNTIL
from pvchat.synthesis.pipeline.takes import SPLITS
from pvchat.synthesis.portraits import Portrait, clip_portraits

Portraits = dict[Split, list[Portrait]]
SAME_PHOTO = 0.1
"""Distance of face embeddings that two different photos of a person hardly ever have."""


@dataclass(frozen=True)
class Material:
    """Portraits by split, real clips for the test as they are, a ``story``: what kind of test this is, and
    ``notes`` on what was not used."""

    subject: str
    positives: Portraits
    negatives: Portraits
    story: str
    raw: list[RawClip] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def default_material(*, faces: FaceAnalyzer, seed: int) -> Material:
    """The talking man of a public test sequence, against people made from faces in packages."""
    clip = asset("carphone")
    seconds = float(clip_times(clip)[-1])
    subject = "tom"
    positives: Portraits = {
        split: passenger(faces, start_s=start, end_s=end, count=count, person=subject)
        for split, start, end, count in tqdm(_windows(seconds), desc=subject, unit="part")
    }
    everyone = [p for group in positives.values() for p in group]
    negatives = default_negatives(everyone, faces=faces, seed=seed, progress=True)
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
    files: OwnFiles,
    *,
    faces: FaceAnalyzer,
    face: int | None = None,
    more: Callable[[Sequence[Portrait]], Portraits] | None = None,
) -> Material:
    """The user's person and other people. Recordings are cut in time and photos kept apart for the test.

    Other people of whom no face, or no single face, is seen and who look like the subject are left out.
    ``more`` makes further people to train against, unlike the portraits it is given. Raises UserError for
    material that cannot be used."""
    notes = list(files.notes)
    with _bar(len(files.reference) + sum(map(len, files.people.values()))) as bar:
        shots, how = _own_shots(subject, files.reference, faces=faces, face=face)
        looks = [look(shot.portraits, faces) for shot in shots]
        check_one_person([shot.name for shot in shots], looks)
        bar.update(len(files.reference))
        if recording(files.reference) is None:
            notes += _easy(shots, looks)
        own = [vector for vectors in looks for vector in vectors]
        people = find_strangers(files.people, own, subject, faces, bar.update, notes)
    positives: Portraits = {
        split: [p for shot in shots if split in shot.splits for p in shot.portraits] for split in SPLITS
    }
    raw = [shot.raw for shot in shots if shot.raw is not None]
    others: Portraits = {"train": [], "validation": [], "test": []}
    for number, person in enumerate(people):
        # every fourth for the test, then one for validation, the rest for training
        split: Split = "test" if number % 4 == 1 else "validation" if number % 8 == 2 else "train"
        others[split] += person.portraits
        if split == "test":
            raw += [RawClip(file, None) for file in person.files]
    counts = ", ".join(f"{len({p.person for p in group})} {split}" for split, group in others.items())
    also = ""
    if more is not None:  # in training alone: whatever else sets them apart must not help in the test
        made = [p for group in more([p for shot in shots for p in shot.portraits]).values() for p in group]
        others["train"] += made
        also = f" In training also {len({p.person for p in made})} from packages, or reshaped from such."
    return Material(
        subject=subject,
        positives=positives,
        negatives=others,
        raw=raw,
        notes=notes,
        story=(
            f"What kind of test this is: {subject} {how}; other people: {counts}, nobody in two of these, as "
            f"far as a face embedding can tell.{also} All are shown in the same scenes, clothes and motions; "
            f"the test also has your own test material as it is. {_caution(subject, others)}"
        ),
    )


def _caution(subject: str, others: Portraits) -> str:
    """What so few people cannot show."""
    learned, tested = (len({p.person for p in others[split]}) for split in ("train", "test"))
    return (
        f"The scores rest on {tested} other people in the test and {learned} in training: a model that "
        f"has met so few may take strangers for {subject}. Give more people to learn and to test better."
    )


@dataclass(frozen=True)
class _Shot:
    """Portraits cut from a reference or a part of it, for which splits, and what the test takes as it is."""

    name: str
    portraits: list[Portrait]
    splits: tuple[Split, ...]
    raw: RawClip | None = None


def _own_shots(
    subject: str, files: Sequence[Path], *, faces: FaceAnalyzer, face: int | None
) -> tuple[list[_Shot], str]:
    """Portraits of the subject, and how those of the test are related to the others."""

    def cut(file: Path, count: int) -> list[Portrait]:
        return portraits_of(file, subject, faces=faces, face=face, count=count)

    if (clip := recording(files)) is not None:
        seconds = check_length(clip)
        shots = [
            _Shot(
                f"{clip.name} ({split} part)",
                clip_portraits(
                    clip, faces=faces, person=subject, start_s=start, end_s=end, count=count, face=face
                ),
                (split,),
                RawClip(clip, subject, start_s=start) if split == "test" else None,
            )
            for split, start, end, count in _windows(seconds)
        ]
        photos = [f for f in files if f != clip]
        shots += [_Shot(photo.name, cut(photo, 1), ("train",)) for photo in photos]
        also = " and a photo" if photos else ""
        return shots, f"is learned from the first half of a recording{also} and tested on its last third"
    if len(files) == 1:
        shot = _Shot(files[0].name, cut(files[0], 1), SPLITS)
        return [shot], "is learned from one photo and tested on that photo in other scenes"
    kept = max(1, len(files) // 3)
    train = [_Shot(f.name, cut(f, 4), ("train", "validation")) for f in files[:-kept]]
    test = [_Shot(f.name, cut(f, 4), ("test",), RawClip(f, subject)) for f in files[-kept:]]
    return [*train, *test], f"is learned from {_files(len(train))} and tested on {_files(kept)} more"


def _easy(shots: Sequence[_Shot], looks: Sequence[Look]) -> list[str]:
    """Says which photos of the test are, in another format or size, also in the training."""
    pairs = [
        f"{test.name} = {train.name}"
        for test, test_look in zip(shots, looks, strict=True)
        for train, train_look in zip(shots, looks, strict=True)
        if test.splits == ("test",)
        and "train" in train.splits
        and distance(test_look, train_look) < SAME_PHOTO
    ]
    return [f"Nearly the same picture in test and training, which makes it easy: {listed(pairs)}."] * bool(
        pairs
    )


def _files(count: int) -> str:
    return "one photo or clip" if count == 1 else f"{count} photos or clips"


def _windows(seconds: float) -> list[tuple[Split, float, float, int]]:
    """Split, start, end in seconds, and how many portraits are cut there."""
    return [
        ("train", 0.0, TRAIN_UNTIL * seconds, 4),
        ("validation", TRAIN_UNTIL * seconds, VALIDATION_UNTIL * seconds, 1),
        ("test", VALIDATION_UNTIL * seconds, seconds, 3),
    ]


def _bar(total: int) -> "tqdm[NoReturn]":
    return tqdm(total=total, desc="faces", unit="file")
