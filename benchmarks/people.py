"""Real people for the benchmarks, from ``$PVCHAT_MEDIA``: who there is, and corpora of two photos."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageEnhance

from pvchat.batch import Polarity
from pvchat.datamodules.manifest import QA, Record, Split, write_manifest
from pvchat.datamodules.video import decode
from pvchat.errors import UserError
from pvchat.faces import FaceAnalyzer

SUBJECTS = ("howard", "leonard", "penny", "raj", "sheldon", "alex", "obama", "scarlett", "yangmi")
TV = SUBJECTS[:5]
TRAIN_PHOTOS = 2
VARIANTS = 12  # augmented variants of each training photo of the subject
NEGATIVE_VARIANTS = 2
CROP_PX, MARGIN = 150, 0.12  # like the TV crops, which are grey
QUESTIONS = (
    "Is {} in this video?",
    "Can you see {}?",
    "Does {} appear in this footage?",
    "Is {} present?",
    "Does this clip contain {}?",
    "Can you find {} in this video?",
)
Frame = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Case:
    """One subject and seed: which photos and people train, which test. The threshold is calibrated on other
    variants of the training photos against people kept out of training and test."""

    subject: str
    seed: int
    train: tuple[Path, ...]
    test: tuple[Path, ...]
    train_others: tuple[Path, ...]
    validation_others: tuple[Path, ...]
    test_others: tuple[Path, ...]


def media() -> Path:
    """The folder of real people. Raises UserError."""
    if "PVCHAT_MEDIA" not in os.environ:
        raise UserError("this benchmark needs real people: set PVCHAT_MEDIA to their folder.")
    return Path(os.environ["PVCHAT_MEDIA"])


def case(subject: str, seed: int) -> Case:
    """Redraws the two training photos and the unseen people with the seed. Strangers of the test are of the
    subject's own kind (TV crops, or colour photos and recordings), which is harder."""
    rng = np.random.default_rng([SUBJECTS.index(subject), seed])
    root = media()
    mine = _photos(root / ("tv" if subject in TV else "photos") / subject)
    chosen = set(rng.choice(len(mine), TRAIN_PHOTOS, replace=False).tolist())
    tv = {n: _photos(root / "tv" / n) for n in TV if n != subject}
    colour = {d.name: _photos(d) for d in (root / "photos").iterdir() if d.is_dir() and d.name != subject}
    colour |= {p.stem: [p] for p in (root / "talking").glob("*.mp4")}
    kind, other_kind = (tv, colour) if subject in TV else (colour, tv)
    names = sorted(kind)
    rng.shuffle(names)
    half, kept = len(names) // 2, len(names) // 5
    train_names, validation_names, test_names = names[:half], names[half : half + kept], names[half + kept :]
    others = sorted(other_kind)
    rng.shuffle(others)
    first = {n: photos[0] for n, photos in other_kind.items()}
    train_others = [f for n in train_names for f in kind[n]] + [first[n] for n in others[: len(others) // 2]]
    validation_others = [f for n in validation_names for f in kind[n]]
    validation_others += [first[n] for n in others[len(others) // 2 :]]
    return Case(
        subject,
        seed,
        train=tuple(f for i, f in enumerate(mine) if i in chosen),
        test=tuple(f for i, f in enumerate(mine) if i not in chosen),
        train_others=tuple(train_others),
        validation_others=tuple(validation_others),
        test_others=tuple(f for n in test_names for f in kind[n]),
    )


def build(this: Case, out: Path, *, faces: FaceAnalyzer) -> Path:
    """Write the pictures and the manifest of a case; returns the manifest."""
    rng = np.random.default_rng([SUBJECTS.index(this.subject), this.seed, 1])
    out.mkdir(parents=True, exist_ok=True)
    grey = this.subject in TV
    records = []
    groups: tuple[tuple[Split, Sequence[Path], bool, int], ...] = (
        ("train", this.train, True, VARIANTS),
        ("train", this.train_others, False, NEGATIVE_VARIANTS),
        ("validation", this.train, True, NEGATIVE_VARIANTS * 2),
        ("validation", this.validation_others, False, 1),
        ("test", this.test, True, 0),
        ("test", this.test_others, False, 0),
    )
    for split, files, present, variants in groups:
        for file in files:
            picture = _picture(file, faces, grey=grey)
            for number, image in enumerate(_augmented(picture, variants, rng)):
                name = f"{split}-{'yes' if present else 'no'}-{file.parent.name}-{file.stem}-{number}"
                image.save(out / f"{name}.png")
                records.append(_record(this.subject, name, out, file, split, present))
    write_manifest(out / "manifest.jsonl", records)
    return out / "manifest.jsonl"


def _record(subject: str, name: str, out: Path, file: Path, split: Split, present: bool) -> Record:
    who = f"<{subject}>"
    answer = f"Yes, {who} is in this video." if present else f"No, {who} is not in this video."
    questions = QUESTIONS if split == "train" else QUESTIONS[:2]
    polarity: Polarity = "yes" if present else "no"
    return Record(
        id=name,
        path=out / f"{name}.png",
        start_s=None,
        end_s=None,
        presence={subject: present},
        source_id=f"{file.parent.name}/{file.stem}",
        background=None,
        clothes=None,
        motion=None,
        origin="real" if present else "negative",
        split=split,
        licence="not stated",
        consent="not stated",
        qa=tuple(QA(q.format(who), answer, "existence", polarity, (subject,)) for q in questions),
    )


def _picture(file: Path, faces: FaceAnalyzer, *, grey: bool) -> Image.Image:
    """Head of the photo, or of a frame of the recording, in the framing of the TV crops and grey like them
    where the subject's are: suits, rooms and the kind of picture must not help."""
    frame: Frame = decode(file, num_frames=3).frames[1 if file.suffix == ".mp4" else 0]
    if file.parent.parent.name != "tv":
        face = faces.detect(frame[None])[0][0]
        frame = faces.crop(frame, face, CROP_PX, MARGIN)
    image = Image.fromarray(frame)
    return image.convert("L").convert("RGB") if grey else image


def _augmented(image: Image.Image, variants: int, rng: np.random.Generator) -> Iterator[Image.Image]:
    """``variants`` random crops, turns, mirrors and lights; the picture itself for 0."""
    if not variants:
        yield image
    for _ in range(variants):
        width, height = image.size
        share = rng.uniform(0.85, 1.0)
        left, top = (rng.uniform(0, side * (1 - share)) for side in (width, height))
        variant = image.crop((left, top, left + share * width, top + share * height))
        variant = variant.rotate(rng.uniform(-8, 8), Image.Resampling.BILINEAR, fillcolor=(96, 96, 96))
        if rng.random() < 0.5:
            variant = variant.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        variant = ImageEnhance.Brightness(variant).enhance(rng.uniform(0.75, 1.25))
        yield ImageEnhance.Contrast(variant).enhance(rng.uniform(0.8, 1.25))


def _photos(folder: Path) -> list[Path]:
    return sorted(f for f in folder.iterdir() if f.suffix in (".png", ".jpg"))
