"""A corpus whose test asks for combinations, and for places and colours, that training never showed."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pvchat.datamodules.manifest import QA, Record, Split, write_manifest
from pvchat.datamodules.vocabulary import ACTIONS
from pvchat.faces import FaceAnalyzer
from pvchat.metrics.functional.naming import named
from pvchat.quickstart.material import Material, default_material
from pvchat.synthesis.backgrounds import BACKGROUNDS, place
from pvchat.synthesis.casting import deal, strangers
from pvchat.synthesis.composer import Scene, compose, match
from pvchat.synthesis.motions import MOTIONS
from pvchat.synthesis.questions import QuestionCounts, clip_qa
from pvchat.synthesis.wardrobe import COLOURS, GARMENTS, Clothes
from pvchat.synthesis.writing import write_video

NEW_PLACES = ("bookshelf", "snow", "desert")
NEW_COLOURS = ("purple", "orange")
PLACES = tuple(kind for kind in BACKGROUNDS if kind not in NEW_PLACES)
WORN = tuple(colour for colour in COLOURS if colour not in NEW_COLOURS)
EVERY = 4  # one in so many pairs of place and colour is kept for the test
FRAMES, SIZE_PX = 8, 224
PARTS: dict[str, tuple[Split, int, QuestionCounts]] = {
    "train": ("train", 160, QuestionCounts(existence=1, about=2, general=3)),
    "validation": ("validation", 12, QuestionCounts(existence=1, about=1, general=3)),
    "combinations": ("test", 40, QuestionCounts(existence=1, about=1, general=3)),
    "new": ("test", 24, QuestionCounts(existence=1, about=1, general=3)),
}
"""Part -> (split, scenes, questions); each scene is filmed with the subject and with a stranger."""


@dataclass(frozen=True)
class Labelled:
    """A picture or clip in ``$PVCHAT_MEDIA`` and what is seen on it, in a clip from ``start_s`` to ``end_s``;
    None: nothing we have a word for."""

    file: str
    colour: str | None = None
    kind: str | None = None
    start_s: float | None = None
    end_s: float | None = None


REAL = (
    Labelled("photos/biden/2.jpg", "black"),
    Labelled("photos/obama/2.jpg", "black"),
    Labelled("photos/obama/4.jpg", "black"),
    Labelled("photos/s12.jpg", "black"),
    Labelled("photos/s42.jpg", "white", "forest"),
    Labelled("talking/d9.mp4", "black"),
    Labelled("talking/d12.mp4", "green", "kitchen"),
    Labelled("talking/s18.mp4", "blue"),
    Labelled("street/event.mp4", "black", "stage", 2.0, 6.0),
)
"""Labelled by looking. Left out: suits between black and blue, two colours, beige, grey, what could be either
of two places, plain walls."""


def is_kept(kind: str, colour: str) -> bool:
    """True for a pair that the test alone shows: a Latin square's share of all."""
    return (PLACES.index(kind) + WORN.index(colour)) % EVERY == 0


def pairs(part: str) -> list[tuple[str, str]]:
    """The pairs of place and colour that a part of the corpus shows."""
    if part == "new":
        return [(kind, colour) for kind in NEW_PLACES for colour in NEW_COLOURS]
    kept = part == "combinations"
    return [(kind, colour) for kind in PLACES for colour in WORN if is_kept(kind, colour) is kept]


def build(out: Path, *, seed: int, media: Path | None, faces: FaceAnalyzer) -> Path:
    """Write the clips and the manifest, with the real pictures if ``media`` is given; return the manifest."""
    material = default_material(faces=faces, seed=seed)
    records = [record for part in PARTS for record in _composed(material, part, seed, out)]
    if media:
        records += [real(labelled, number, material.subject, media) for number, labelled in enumerate(REAL)]
    write_manifest(out / "manifest.jsonl", records)
    return out / "manifest.jsonl"


def asked(part: str, scene: Scene, presence: dict[str, bool], rng: np.random.Generator) -> tuple[QA, ...]:
    """Questions of a clip, without those about who is absent, and about actions, of which one frame tells
    nothing."""
    questions = clip_qa(presence, scene, rng, PARTS[part][2])
    return tuple(
        q
        for q in questions
        if q.polarity or (all(presence[name] for name in q.subjects) and not named(q.answer, ACTIONS))
    )


def real(labelled: Labelled, number: int, subject: str, media: Path) -> Record:
    """A real picture of somebody else, of whom is asked without a name."""
    colour, kind = labelled.colour, labelled.kind
    questions = (
        [QA("What is the person wearing?", f"The person is wearing {colour}.", "general")] if colour else []
    )
    questions += [QA("Where is the person?", f"The person is {place(kind)}.", "general")] if kind else []
    return Record(
        id=f"real-{number:02d}",
        path=media / labelled.file,
        start_s=labelled.start_s,
        end_s=labelled.end_s,
        presence={subject: False},
        source_id=labelled.file,
        background=kind,
        clothes=colour,
        origin="negative",
        split="test",
        licence="not stated",
        consent="not stated",
        qa=tuple(questions),
    )


def _composed(material: Material, part: str, seed: int, out: Path) -> Iterator[Record]:
    """The scenes of a part, each with the subject and with a stranger."""
    name, number, (split, count, _) = material.subject, list(PARTS).index(part), PARTS[part]
    rng = np.random.default_rng([seed, number])
    own, others = deal(rng, material.positives[split]), strangers(rng, material.negatives[split])
    places, garments, motions = deal(rng, pairs(part)), deal(rng, GARMENTS), deal(rng, list(MOTIONS))
    for n in range(count):
        kind, colour = next(places)
        clothes = Clothes(colour, next(garments))
        scene = Scene(kind, clothes, next(motions), seed=int(rng.integers(1 << 31)))
        cast = [next(own), *others(1, n % 2 == 0)]
        scene = match(scene, cast)
        for role, portrait in enumerate(cast):
            path, presence = out / f"{part}-{n:03d}-{role}.mp4", {name: role == 0}
            write_video(path, compose(portrait, scene, num_frames=FRAMES, size_px=SIZE_PX))
            yield Record(
                id=path.stem,
                path=path,
                presence=presence,
                source_id=portrait.source_id,
                background=scene.background,
                clothes=str(scene.clothes),
                motion=scene.motion,
                origin="negative" if role else "warp",
                split=split,
                licence=portrait.licence,
                consent=portrait.consent,
                qa=asked(part, scene, presence, np.random.default_rng([seed, number, n, role])),
            )
