"""Heads cut out of photos and recordings, ready to be put into other scenes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from pvchat.datamodules.manifest import Origin
from pvchat.datamodules.video import PHOTOS, decode
from pvchat.errors import UserError
from pvchat.faces import Face, FaceAnalyzer
from pvchat.synthesis.matte import HeadFrame, head_coverage, head_matte

Frames = npt.NDArray[np.uint8]
HEAD_PX = 192
UNIT_PX = 40.0  # eyes to mouth in a head crop
Seconds = tuple[float, float]
_CLEARLY_LARGER = 2.0  # a face this many times larger (area) than the next is the one meant


class FaceChoiceError(UserError):
    """A photo or clip shows no face (``found`` 0), or several and nobody said which."""

    def __init__(self, message: str, *, found: int) -> None:
        super().__init__(message)
        self.found = found


@dataclass(frozen=True)
class Portrait:
    """A head in motion: ``heads`` (T, 192, 192, 4) uint8 RGBA, opaque where the head is, all at one scale
    (40 px from eyes to mouth) and centred between the eyes; ``landmarks`` (T, 5, 2) in pixels of the crop.

    ``detail`` is eyes to mouth in pixels of the source (how sharp the head can be), ``tight`` says that the
    photo ends before the head does. T is 1 for a photo."""

    person: str
    source_id: str
    heads: Frames
    landmarks: npt.NDArray[np.float32]
    detail: float
    tight: bool = False
    origin: Origin = "real"
    licence: str = "not stated"
    consent: str = "not stated"

    @property
    def moves(self) -> bool:
        """False for a photo."""
        return len(self.heads) > 1

    @property
    def grey(self) -> bool:
        """True when the head has no colour."""
        rgb = self.heads[0, ..., :3][self.heads[0, ..., 3] > 128].astype(int)
        return len(rgb) == 0 or float(np.ptp(rgb, axis=1).mean()) < 4


def photo_portraits(
    path: str | Path,
    *,
    faces: FaceAnalyzer,
    person: str,
    face: int | None = None,
    licence: str = "not stated",
    consent: str = "not stated",
) -> list[Portrait]:
    """One portrait per photo of ``path``, a file or a folder. ``face`` counts from 1, left to right, and is
    needed where several people are about equally large."""
    path = Path(path)
    files = sorted(f for f in path.iterdir() if f.suffix.lower() in PHOTOS) if path.is_dir() else [path]
    if not files:
        raise UserError(f"a folder of reference photos must hold jpg, png or webp files: {path} has none.")
    portraits = []
    for file in files:
        frame = decode(file, num_frames=1).frames[0]
        found = choose_face(faces.detect(frame[None])[0], file, face)
        portraits.append(
            cut_portrait(
                [frame], [found], person=person, source_id=file.stem, licence=licence, consent=consent
            )
        )
    return portraits


def clip_portraits(
    path: str | Path,
    *,
    faces: FaceAnalyzer,
    person: str,
    start_s: float | None = None,
    end_s: float | None = None,
    count: int = 4,
    frames_each: int = 8,
    face: int | None = None,
    licence: str = "not stated",
    consent: str = "not stated",
) -> list[Portrait]:
    """Up to ``count`` portraits of ``frames_each`` frames that follow each other in time between
    ``start_s`` and ``end_s`` seconds. Frames in which the face is lost are left out."""
    path = Path(path)
    frames = decode(path, num_frames=count * frames_each, start_s=start_s, end_s=end_s).frames
    seconds = None if start_s is None or end_s is None else (start_s, end_s)
    tracked = _track(faces.detect(frames), path, face, seconds)
    portraits = []
    for i in range(count):
        window = [t for t in tracked if i * frames_each <= t[0] < (i + 1) * frames_each]
        if window:
            portraits.append(
                cut_portrait(
                    [frames[t] for t, _ in window],
                    [found for _, found in window],
                    person=person,
                    source_id=path.stem,
                    licence=licence,
                    consent=consent,
                )
            )
    return portraits


def choose_face(
    found: Sequence[Face], path: Path, face: int | None = None, *, seconds: Seconds | None = None
) -> Face:
    """The face that is meant: the only one, number ``face`` from the left, or a clearly larger one.
    ``seconds`` are those of a clip that were searched. Raises FaceChoiceError."""
    if not found and seconds is not None:
        raise FaceChoiceError(
            f"a recording must show the person in each of its parts: no face was found in {path.name} from "
            f"{seconds[0]:.1f} to {seconds[1]:.1f} s. Cut it to where they are in sight, or give photos.",
            found=0,
        )
    if not found:
        raise FaceChoiceError(
            f"a reference must show a face: none was found in {path.name}. Choose a photo in which the face "
            "is larger, sharper or less turned away.",
            found=0,
        )
    if len(found) == 1:
        return found[0]
    if face is not None:
        if not 1 <= face <= len(found):
            raise FaceChoiceError(
                f"--face counts the faces from left to right, from 1: got {face}, and {path.name} shows "
                f"{len(found)}. Choose one of 1-{len(found)}.",
                found=len(found),
            )
        return sorted(found, key=lambda f: float(f.box[0] + f.box[2]))[face - 1]
    by_area = sorted(found, key=lambda f: f.area, reverse=True)
    if by_area[0].area < _CLEARLY_LARGER * by_area[1].area:
        raise FaceChoiceError(
            f"a reference must show one person: {path.name} shows {len(found)} faces of about the same size. "
            f"Crop it to the person, or choose with --face N (1-{len(found)} from left to right).",
            found=len(found),
        )
    return by_area[0]


def cut_portrait(
    frames: Sequence[Frames],
    found: Sequence[Face],
    *,
    person: str,
    source_id: str,
    licence: str = "not stated",
    consent: str = "not stated",
) -> Portrait:
    """Cut the head of ``found[t]`` out of each of ``frames`` (H, W, 3)."""
    marks = np.stack([np.asarray(f.landmarks, float) for f in found])  # (T, 5, 2)
    unit = float(np.median([HeadFrame(m).unit for m in marks]))
    centres = _smooth(marks[:, :2].mean(1))
    scale = unit / UNIT_PX
    heads, landmarks, coverage = [], [], []
    for frame, mark, centre in zip(frames, marks, centres, strict=True):
        corner = centre - HEAD_PX / 2 * scale
        crop, valid = _crop(frame, corner, scale)
        mark = (mark - corner) / scale
        heads.append(np.dstack([crop, head_matte(crop, mark, valid)]))
        landmarks.append(mark)
        coverage.append(head_coverage(mark, valid))
    return Portrait(
        person=person,
        source_id=source_id,
        heads=np.stack(heads),
        landmarks=np.stack(landmarks).astype(np.float32),
        detail=unit,
        tight=min(coverage) < 0.93,
        licence=licence,
        consent=consent,
    )


def _crop(
    frame: Frames, corner: npt.NDArray[np.float64], scale: float
) -> tuple[Frames, npt.NDArray[np.bool_]]:
    """A square of ``HEAD_PX`` that starts at ``corner``, and which of its pixels lie inside the frame.
    Beyond the frame its border is continued, so that filters see no black."""
    shrink = max(1, int(scale))
    image = Image.fromarray(frame).reduce(shrink) if shrink > 1 else Image.fromarray(frame)
    step = scale / shrink
    x, y = corner / shrink
    pad = 2
    size = int(np.ceil(HEAD_PX * step)) + 2 * pad
    left, top = int(np.floor(x)) - pad, int(np.floor(y)) - pad
    columns, rows = np.arange(left, left + size), np.arange(top, top + size)
    pixels = np.asarray(image)
    patch = pixels[np.clip(rows, 0, image.height - 1)[:, None], np.clip(columns, 0, image.width - 1)]
    inside = ((rows >= 0) & (rows < image.height))[:, None] & ((columns >= 0) & (columns < image.width))
    to_patch = (step, 0, x - left, 0, step, y - top)
    square = (HEAD_PX, HEAD_PX)
    crop = Image.fromarray(patch).transform(
        square, Image.Transform.AFFINE, to_patch, Image.Resampling.BICUBIC
    )
    valid = Image.fromarray(inside).transform(square, Image.Transform.AFFINE, to_patch)
    return np.asarray(crop), np.asarray(valid)


def _track(
    found: Sequence[Sequence[Face]], path: Path, face: int | None, seconds: Seconds | None
) -> list[tuple[int, Face]]:
    """Follow the chosen face from the first frame that shows one."""
    tracked: list[tuple[int, Face]] = []
    for t, candidates in enumerate(found):
        if not candidates:
            continue
        if not tracked:
            tracked.append((t, choose_face(candidates, path, face)))
            continue
        last = tracked[-1][1]
        nearest = min(candidates, key=lambda f: _distance(f, last))
        if _distance(nearest, last) < float(last.box[2] - last.box[0]):
            tracked.append((t, nearest))
    if not tracked:
        choose_face([], path, seconds=seconds)
    return tracked


def _distance(a: Face, b: Face) -> float:
    return float(np.linalg.norm((a.box[:2] + a.box[2:] - b.box[:2] - b.box[2:]) / 2))


def _smooth(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Weights 1-2-1 over time: the cut-out follows the head, not the jitter of the detector."""
    padded = np.concatenate([points[:1], points, points[-1:]])
    return np.asarray((padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4, float)
