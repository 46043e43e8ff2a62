"""Real people for the benchmarks, from ``$PVCHAT_MEDIA``: who there is, and corpora of two pictures."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageEnhance

from pvchat.datamodules.manifest import QA, Record, Split, write_manifest
from pvchat.datamodules.video import decode
from pvchat.errors import UserError
from pvchat.faces import Face, FaceAnalyzer

SUBJECTS = ("howard", "leonard", "penny", "raj", "sheldon", "alex", "obama", "scarlett", "yangmi")
TV = SUBJECTS[:5]
TALKING = ("d0", "d3", "d9", "d10", "d12", "d13", "d14", "d18", "d20", "s18", "s20")
TRAIN_PHOTOS = 2
FRAMES = 5  # taken from a third of a recording,
RECORDED = 40  # of so many in the whole
VARIANTS = 12  # augmented variants of each training picture of the subject
NEGATIVE_VARIANTS = 2
CROP_PX, MARGIN = 150, 0.12  # like the TV crops, which are grey
GREY = (96, 96, 96)
POOR_PX, LIGHT = 18, 0.9
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
class Shot:
    """A photo of somebody, or ``count`` frames of a recording from a fraction of its length on."""

    who: str
    file: Path
    at: float | None = None
    count: int = 1

    @property
    def name(self) -> str:
        return f"{self.who}-{self.file.stem}" + ("" if self.at is None else f"-{self.at:.2f}")

    @property
    def frames(self) -> Frame:
        """The whole pictures (count, H, W, 3)."""
        first = 0 if self.at is None else round(self.at * RECORDED)
        return _frames(self.file)[first : first + self.count]

    @property
    def frame(self) -> Frame:
        """The first of them (H, W, 3)."""
        return np.asarray(self.frames[0])

    @property
    def cropped(self) -> bool:
        """Whether it is a head in the framing of all."""
        return self.file.parent.parent.name == "tv"


@dataclass(frozen=True)
class Case:
    """Who is learned, and which pictures and people train, set the threshold and test; the threshold from
    other variants of the training pictures against people kept out of both. ``grey``: all pictures are made
    so. ``poor``: they are all small, grey and each in another light."""

    subjects: tuple[str, ...]
    seed: int
    train: tuple[Shot, ...]
    validation: tuple[Shot, ...]
    test: tuple[Shot, ...]
    grey: bool = False
    poor: bool = False


def media() -> Path:
    """The folder of real people. Raises UserError."""
    if "PVCHAT_MEDIA" not in os.environ:
        raise UserError("this benchmark needs real people: set PVCHAT_MEDIA to their folder.")
    return Path(os.environ["PVCHAT_MEDIA"])


def photo_case(subjects: tuple[str, ...], seed: int, *, photos: int = TRAIN_PHOTOS) -> Case:
    """Photos from other occasions. Redraws the training ``photos`` of each subject and the unseen people with
    the seed. Strangers of the test are of the subjects' own kind (TV crops, or colour photos and recordings),
    which is harder."""
    rng = np.random.default_rng([*map(SUBJECTS.index, subjects), seed])
    root = media()
    grey = subjects[0] in TV
    tv = {n: _photos(root / "tv" / n) for n in TV}
    colour = {d.name: _photos(d) for d in (root / "photos").iterdir() if d.is_dir()}
    colour |= {p.stem: [Shot(p.stem, p, 0.5)] for p in (root / "talking").glob("*.mp4")}
    kind, other_kind = (tv, colour) if grey else (colour, tv)
    mine = [_drawn(kind.pop(subject), rng, photos) for subject in subjects]
    train_names, validation_names, test_names = _split(kind, rng)
    others = sorted(other_kind)
    rng.shuffle(others)
    first = [other_kind[n][0] for n in others]
    train = [s for drawn, _ in mine for s in drawn]
    return Case(
        subjects,
        seed,
        train=(*train, *(s for n in train_names for s in kind[n]), *first[: len(first) // 2]),
        validation=(*train, *(s for n in validation_names for s in kind[n]), *first[len(first) // 2 :]),
        test=(*(s for _, rest in mine for s in rest), *(s for n in test_names for s in kind[n])),
        grey=grey,
    )


def talking_case(
    subjects: tuple[str, ...], seed: int, *, photos: int = TRAIN_PHOTOS, poor: bool = False
) -> Case:
    """One recording: trained on ``photos`` frames of its first third, tested on its last third, against
    people never seen. Redraws the frames and the people with the seed."""
    rng = np.random.default_rng([*(len(SUBJECTS) + TALKING.index(s) for s in subjects), seed])
    others = {n: _third(n, last=True) for n in TALKING if n not in subjects}
    train_names, validation_names, test_names = _split(others, rng)
    train = [s for subject in subjects for s in _drawn(_third(subject, last=False), rng, photos)[0]]
    return Case(
        subjects,
        seed,
        train=(*train, *(s for n in train_names for s in others[n][::2])),
        validation=(*train, *(s for n in validation_names for s in others[n])),
        test=tuple(s for n in (*subjects, *test_names) for s in _third(n, last=True)),
        poor=poor,
    )


def _drawn(shots: Sequence[Shot], rng: np.random.Generator, count: int) -> tuple[list[Shot], list[Shot]]:
    chosen = set(rng.choice(len(shots), count, replace=False).tolist())
    return [s for i, s in enumerate(shots) if i in chosen], [
        s for i, s in enumerate(shots) if i not in chosen
    ]


def _third(name: str, *, last: bool) -> list[Shot]:
    begin, end = (0.675, 0.975) if last else (0.0, 0.3)
    file = media() / "talking" / f"{name}.mp4"
    return [Shot(name, file, at) for at in np.linspace(begin, end, FRAMES).tolist()]


def _split(people: Iterable[str], rng: np.random.Generator) -> tuple[list[str], list[str], list[str]]:
    """Half of the people for training, a fifth for the threshold, the rest for the test."""
    names = sorted(people)
    rng.shuffle(names)
    half, kept = len(names) // 2, len(names) // 5
    return names[:half], names[half : half + kept], names[half + kept :]


def build(this: Case, out: Path, *, faces: FaceAnalyzer) -> Path:
    """Write the pictures and the manifest of a case; returns the manifest."""
    rng = np.random.default_rng([*map((SUBJECTS + TALKING).index, this.subjects), this.seed, 1])
    out.mkdir(parents=True, exist_ok=True)
    records = []
    groups: tuple[tuple[Split, Sequence[Shot], int, int], ...] = (
        ("train", this.train, VARIANTS, NEGATIVE_VARIANTS),
        ("validation", this.validation, NEGATIVE_VARIANTS * 2, 1),
        ("test", this.test, 0, 0),
    )
    for split, shots, of_subject, of_other in groups:
        for shot in shots:
            picture = _picture(shot, faces, grey=this.grey)
            variants = of_subject if shot.who in this.subjects else of_other
            for number, image in enumerate(augmented(picture, variants, rng)):
                if this.poor:
                    image = _poor(image, rng)
                name = f"{split}-{shot.name}-{number}"
                image.save(out / f"{name}.png")
                records.append(_record(this.subjects, name, out, shot, split))
    write_manifest(out / "manifest.jsonl", records)
    return out / "manifest.jsonl"


def _record(subjects: Sequence[str], name: str, out: Path, shot: Shot, split: Split) -> Record:
    questions = QUESTIONS if split == "train" else QUESTIONS[:2]
    return Record(
        id=name,
        path=out / f"{name}.png",
        start_s=None,
        end_s=None,
        presence={s: s == shot.who for s in subjects},
        source_id=shot.name,
        background=None,
        clothes=None,
        motion=None,
        origin="real" if shot.who in subjects else "negative",
        split=split,
        licence="not stated",
        consent="not stated",
        qa=asked(subjects, questions, shot.who),
    )


def asked(subjects: Sequence[str], questions: Sequence[str], who: str) -> tuple[QA, ...]:
    """Is each of ``subjects`` there, where ``who`` is?"""
    return tuple(_asked(s, q, present=s == who) for s in subjects for q in questions)


def _asked(subject: str, question: str, *, present: bool) -> QA:
    who = f"<{subject}>"
    answer = f"Yes, {who} is in this video." if present else f"No, {who} is not in this video."
    return QA(question.format(who), answer, "existence", "yes" if present else "no", (subject,))


def _picture(shot: Shot, faces: FaceAnalyzer, *, grey: bool) -> Image.Image:
    face = None if shot.cropped else faces.detect(shot.frame[None])[0][0]
    return framed(shot.frame, face, faces, grey=grey, oval=shot.at is not None)


def framed(frame: Frame, face: Face | None, faces: FaceAnalyzer, *, grey: bool, oval: bool) -> Image.Image:
    """The head alone, framed like the TV crops (None: it is one), and grey like them where the subject's are:
    suits, rooms and the kind of picture must not help."""
    image = Image.fromarray(frame if face is None else faces.crop(frame, face, CROP_PX, MARGIN))
    if oval:
        image = _oval(image)
    return image.convert("L").convert("RGB") if grey else image


def _oval(image: Image.Image) -> Image.Image:
    """The face on plain grey: frames of one recording share their background."""
    mask = Image.new("L", image.size)
    width, height = image.size
    ImageDraw.Draw(mask).ellipse((0.14 * width, 0.03 * height, 0.86 * width, 0.97 * height), fill=255)
    return Image.composite(image, Image.new("RGB", image.size, GREY), mask)


def _poor(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Grey, ``POOR_PX`` large, lit from a random side."""
    small = np.asarray(image.convert("L").resize((POOR_PX, POOR_PX), Image.Resampling.BOX), np.float64)
    across = np.linspace(-1, 1, POOR_PX)
    angle = rng.uniform(0, 2 * np.pi)
    light = 1 + LIGHT * (np.cos(angle) * across[None] + np.sin(angle) * across[:, None])
    lit = Image.fromarray(np.clip(small * light, 0, 255).astype(np.uint8)).convert("RGB")
    return lit.resize(image.size, Image.Resampling.BICUBIC)


@cache
def _frames(file: Path) -> npt.NDArray[np.uint8]:
    return decode(file, num_frames=RECORDED if file.suffix == ".mp4" else 1).frames


def augmented(image: Image.Image, variants: int, rng: np.random.Generator) -> Iterator[Image.Image]:
    """``variants`` random crops, turns, mirrors and lights; the picture itself for 0."""
    if not variants:
        yield image
    for _ in range(variants):
        width, height = image.size
        share = rng.uniform(0.85, 1.0)
        left, top = (rng.uniform(0, side * (1 - share)) for side in (width, height))
        variant = image.crop((left, top, left + share * width, top + share * height))
        variant = variant.rotate(rng.uniform(-8, 8), Image.Resampling.BILINEAR, fillcolor=GREY)
        if rng.random() < 0.5:
            variant = variant.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        variant = ImageEnhance.Brightness(variant).enhance(rng.uniform(0.75, 1.25))
        yield ImageEnhance.Contrast(variant).enhance(rng.uniform(0.8, 1.25))


def _photos(folder: Path) -> list[Shot]:
    return [Shot(folder.name, f) for f in sorted(folder.iterdir()) if f.suffix in (".png", ".jpg")]
