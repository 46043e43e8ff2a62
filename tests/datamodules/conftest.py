"""Small clips written on the spot, a fake extractor, and manifests of them."""

import json
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch

from pvchat.batch import Clip, Features, first_frames
from pvchat.datamodules.personalized import PersonalizedDataModule
from pvchat.datamodules.sources import ManifestSource
from pvchat.stages import Stage, StagePlan
from pvchat.subjects import SubjectRegistry


def encode(
    path: Path,
    levels: Sequence[int],
    *,
    times_ms: Sequence[int] | None = None,
    size: tuple[int, int] = (64, 32),
    options: dict[str, str] | None = None,
    image: Any = None,
    codec: str = "libx264",
) -> Path:
    """A grey clip, one level a frame (or ``image`` throughout), 25 fps unless ``times_ms`` says when."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        if times_ms is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for n, level in enumerate(levels):
            pixels = np.full((size[1], size[0], 3), level, np.uint8) if image is None else image
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = (n, Fraction(1, 25))
            if times_ms is not None:
                frame.pts, frame.time_base = times_ms[n], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


class MeanColours:
    """One view, one token a frame: its mean colour; "face" is seen in even frames. Counts its calls."""

    show = staticmethod(first_frames)
    to = staticmethod(lambda device: None)

    def __init__(self, name: str = "mean colours") -> None:
        self.fingerprint, self.calls = name, 0

    def __call__(self, clip: Clip, *, blank_faces: bool = False) -> Features:
        self.calls += 1
        colours = torch.from_numpy(clip.frames).float().mean((1, 2))[:, None]
        seen = torch.arange(len(clip.frames)) % 2 == 0
        return {
            "global": colours.half(),
            "global.mask": torch.ones(len(clip.frames), dtype=torch.bool),
            "face": colours.half() * (not blank_faces),
            "face.mask": seen & (not blank_faces),
        }


def question(text: str, answer: str, kind: str = "existence", **more: Any) -> dict[str, Any]:
    return {"question": text, "answer": answer, "type": kind, **more}


def clip_line(name: str, *, present: bool, split: str = "train", **more: Any) -> dict[str, Any]:
    """A manifest line about tom: three existence questions, and two others where he is present."""
    answer, polarity = ("Yes, <tom> is here.", "yes") if present else ("No, <tom> is not here.", "no")
    asked = ["Is <tom> here?", "Do you see <tom>?", "Does this clip show <tom>?"]
    qa = [question(text, answer, polarity=polarity) for text in asked]
    if present:
        qa.append(question("What does <tom> wear?", "<tom> wears grey.", "appearance"))
        qa.append(question("What does <tom> do?", "<tom> stands.", "action"))
    return {
        "schema_version": 1,
        "id": name,
        "path": f"clips/{name}.mp4",
        "presence": {"tom": present},
        "source_id": f"recording of {name}",
        "origin": "real" if present else "negative",
        "split": split,
        "licence": "CC0",
        "consent": "not a person",
        "qa": qa,
        **more,
    }


def write_lines(path: Path, lines: Sequence[Any]) -> Path:
    path.write_text("\n".join(x if isinstance(x, str) else json.dumps(x) for x in lines) + "\n")
    return path


@pytest.fixture
def write_video() -> Callable[..., Path]:
    return encode


@pytest.fixture
def line() -> Callable[..., dict[str, Any]]:
    return clip_line


@pytest.fixture
def write_manifest_lines() -> Callable[[Path, Sequence[Any]], Path]:
    return write_lines


@pytest.fixture
def extractor() -> MeanColours:
    return MeanColours()


@pytest.fixture
def make_extractor() -> type[MeanColours]:
    return MeanColours


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Manifest of 3 training clips with tom, 7 without, 2 for validation, 2 for testing; all decodable."""
    lines = [clip_line(f"tom{n}", present=True) for n in range(3)]
    lines += [clip_line(f"other{n}", present=False) for n in range(7)]
    lines += [clip_line(f"{s}{p}", present=p, split=s) for s in ("validation", "test") for p in (True, False)]
    for n, item in enumerate(lines):
        encode(tmp_path / item["path"], [10 * n + 5 * k for k in range(6)])
    return write_lines(tmp_path / "manifest.jsonl", lines)


@pytest.fixture
def plan() -> StagePlan:
    return StagePlan(
        image=Stage(1, 1, ("existence", "appearance"), ()),
        video=Stage(2, None, ("existence", "appearance", "action", "location", "general"), ()),
    )


@pytest.fixture
def make_data(tmp_path: Path, plan: StagePlan) -> Callable[..., PersonalizedDataModule]:
    """``make_data(manifest or source, extractor, **arguments)``: a datamodule with everything attached."""

    def make(source: Any, extractor: Any, **arguments: Any) -> PersonalizedDataModule:
        source = ManifestSource(source) if isinstance(source, Path) else source
        defaults = {"stages": plan, "cache_dir": str(tmp_path / "cache"), "num_frames": 2}
        data = PersonalizedDataModule(source=source, **{**defaults, **arguments})
        data.attach(extractor, SubjectRegistry(data.subjects, num_soft_tokens=2))
        return data

    return make
