"""A world small enough to learn in seconds: drawn people in drawn places, and the config of a tiny model.

A person is a bright square, whose colour tells who it is, above a shirt, on a dim background; positives and
negatives share backgrounds, shirts and places, so that nothing but that colour tells them apart.
``tiny.yaml`` is an overlay of experiments/laptop.yaml with random parts, so nothing is ever downloaded.
"""

import os
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from PIL import Image

from pvchat import cli
from pvchat.datamodules.manifest import QA, Record, Split, write_manifest
from pvchat.datamodules.personalized import PersonalizedDataModule
from pvchat.datamodules.sources import ManifestSource
from pvchat.faces import Face, FaceAnalyzer, Frame, Vector

ROOT = Path(__file__).parent.parent
LAPTOP, TINY = str(ROOT / "experiments" / "laptop.yaml"), str(Path(__file__).with_name("tiny.yaml"))
CONFIG = ("-c", LAPTOP, "-c", TINY)

PEOPLE = {"tom": (250, 60, 60), "ann": (60, 250, 60), "bob": (70, 70, 250), "eva": (250, 250, 60)}
PEOPLE |= {"max": (60, 250, 250), "stranger": (250, 60, 250), "passer-by": (250, 250, 250)}
SHIRTS = {"red": (110, 30, 30), "green": (30, 110, 30), "blue": (30, 30, 110), "gray": (90, 90, 90)}
PLACES = {"inside": (40, 60, 70), "outside": (70, 50, 40)}
WIDTH, HEIGHT, FACE = 96, 64, 24


class DrawnFaces(FaceAnalyzer):
    """Finds the bright squares of ``draw`` and embeds their colour."""

    fingerprint = "drawn faces"

    def detect(self, frames: Frame, *, min_probability: float | None = None) -> list[list[Face]]:
        return [[self._face(box) for box in self._boxes(frame)] for frame in frames]

    def embed(self, frame: Frame, face: Face) -> Vector:
        x, y = (int(v) for v in (face.box[:2] + face.box[2:]) / 2)
        colour = frame[y - 4 : y + 4, x - 4 : x + 4].reshape(-1, 3).mean(0) / 255 - 0.5
        return np.tile(colour, 43)[:128].astype(np.float32) / 6

    @staticmethod
    def _boxes(frame: Frame) -> Iterator[tuple[int, int, int, int]]:
        bright = frame.max(-1) > 180
        columns = np.flatnonzero(bright.any(0))
        for run in np.split(columns, np.flatnonzero(np.diff(columns) > 1) + 1):
            if len(run) > FACE // 2:
                rows = np.flatnonzero(bright[:, run].any(1))
                yield int(run[0]), int(rows[0]), int(run[-1]) + 1, int(rows[-1]) + 1

    @staticmethod
    def _face(box: tuple[int, int, int, int]) -> Face:
        return Face(np.array(box, np.float32), np.zeros((5, 2), np.float32), 1.0)


def draw(people: Sequence[str], shirt: str, place: str, *, shift: int = 0) -> Frame:
    """One frame: at most three ``people`` side by side."""
    frame = np.full((HEIGHT, WIDTH, 3), PLACES[place], np.uint8)
    for n, name in enumerate(people):
        left, top = 4 + shift + 32 * n, 8 + shift
        frame[top + FACE :, left : left + FACE] = SHIRTS[shirt]
        frame[top : top + FACE, left : left + FACE] = PEOPLE[name]
    return frame


def save_clip(path: Path, frames: Sequence[Frame]) -> Path:
    """An mp4, or a photo of the first frame, by the name of ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".png":
        Image.fromarray(frames[0]).save(path)
        return path
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=5, options={"crf": "10"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path


def make_corpus(
    folder: Path, subjects: Sequence[str] = ("tom",), *, clips: Mapping[Split, int] | None = None, seed: int = 0
) -> Path:
    """Manifest of ``clips`` of each split, as many with each subject as without. Every third is a photo."""
    rng = random.Random(seed)
    records = []
    for split, count in (clips or {"train": 6, "validation": 4, "test": 8}).items():
        for n in range(count * len(subjects)):
            subject = subjects[n // 2 % len(subjects)]
            others = [name for name in PEOPLE if name not in subjects]
            people = [subject if n % 2 == 0 else rng.choice(others)]
            shirt, place = list(SHIRTS)[n // 2 % 4], rng.choice(list(PLACES))
            moves = rng.random() < 0.5
            frames = [draw(people, shirt, place, shift=4 + 2 * t * moves) for t in range(4)]
            path = save_clip(folder / "clips" / f"{split}{n}.{'png' if n % 3 == 2 else 'mp4'}", frames)
            records.append(record(path, split, people, subjects, shirt, place))
    write_manifest(folder / "manifest.jsonl", records)
    return folder / "manifest.jsonl"


def record(
    path: Path, split: Split, people: Sequence[str], subjects: Sequence[str], shirt: str, place: str
) -> Record:
    """A clip of ``people``, with what there is to ask about each of ``subjects``."""
    presence = {name: name in people for name in subjects}
    qa: list[QA] = []
    for name, present in presence.items():
        answer = f"Yes, <{name}> is here." if present else f"No, <{name}> is not here."
        polarity = "yes" if present else "no"
        for question in (f"Is <{name}> here?", f"Do you see <{name}>?"):
            qa.append(QA(question, answer, "existence", polarity, (name,)))
        if present:
            shown = f"<{name}> is wearing {shirt}."
            qa.append(QA(f"What is <{name}> wearing?", shown, "appearance", None, (name,)))
            qa.append(QA(f"Where is <{name}>?", f"<{name}> is {place}.", "location", None, (name,)))
    return Record(
        id=path.stem,
        path=path,
        presence=presence,
        source_id=path.stem,
        background=place,
        clothes=shirt,
        origin="real" if any(presence.values()) else "negative",
        split=split,
        licence="CC0-1.0",
        consent="drawn",
        qa=tuple(qa),
    )
