"""A local copy of CelebV-HQ: its JSON, and clips that the user fetched and may keep for research alone.

Layout of the authors' script (github.com/CelebV-HQ/CelebV-HQ): ``celebvhq_info.json``; below
``downloaded_celebvhq`` or beside the JSON ``processed/CLIP.mp4``, cut to the face, or ``raw/CLIP.mp4`` (also
``raw/YOUTUBE_ID.mp4``), whole videos, of which box and time range are shown."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pvchat.datamodules.video import clip_key, decode
from pvchat.errors import UserError
from pvchat.synthesis.gallery.pictures import (
    CLIP_FRAMES,
    Frames,
    Picture,
    digest,
    folder,
    look_at,
    say_absent,
    stamp,
)

LIST = "celebvhq_info.json"
AROUND = 0.02
"""Share of the frame that the authors add on every side of a box."""


@dataclass(frozen=True)
class _Clip:
    recording: str
    seconds: tuple[float, float]
    box: tuple[float, float, float, float]
    """Top, bottom, left, right as shares of the frame."""


class CelebVHQGallery:
    """Clips of the JSON that are on this machine; those of one YouTube video may show one person."""

    licence = "CelebV-HQ: non-commercial research only, no redistribution"
    commercial = False

    def __init__(self, root: str | Path) -> None:
        self.root = folder(root)

    def pictures(self) -> Iterator[Picture]:
        found = {key: file for key in self._clips if (file := self._file(key))}
        say_absent(len(self._clips) - len(found), len(self._clips), self.root)
        for key, file in sorted(found.items()):
            yield Picture(key, self._clips[key].recording, stamp(file))

    def content(self, key: str) -> str:
        file = self._present(key)
        shown = (self._clips[key].seconds, self._clips[key].box) if _whole(file) else ()
        return digest(clip_key(file, num_frames=CLIP_FRAMES), shown)

    def read(self, key: str) -> Frames:
        clip, file = self._clips[key], self._present(key)
        if not _whole(file):
            return look_at(file)
        start, end = clip.seconds
        frames = decode(
            file, num_frames=CLIP_FRAMES, start_s=start, end_s=end, max_px=None, frame_policy="middle"
        ).frames
        return _square(frames, clip.box)

    @cached_property
    def _clips(self) -> Mapping[str, _Clip]:
        path = self.root / LIST
        try:
            listed = json.loads(path.read_text(encoding="utf-8"))["clips"]
            return {key: _clip(value) for key, value in listed.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(
                f"a copy of CelebV-HQ must hold the authors' {LIST}: {path} cannot be read so "
                f"({type(error).__name__}: {error}). Take it from their repository."
            ) from error

    def _file(self, key: str) -> Path | None:
        names = (f"processed/{key}", f"raw/{key}", f"raw/{self._clips[key].recording}")
        below = (self.root, self.root / "downloaded_celebvhq")
        return next((p for name in names for top in below if (p := top / f"{name}.mp4").is_file()), None)

    def _present(self, key: str) -> Path:
        file = self._file(key) if key in self._clips else None
        if file is None:
            raise UserError(f"clip '{key}' is not in the copy of CelebV-HQ at {self.root}. Fetch it again.")
        return file


def _clip(value: Any) -> _Clip:
    time, box = value["duration"], value["bbox"]
    top, bottom, left, right = (float(box[side]) for side in ("top", "bottom", "left", "right"))
    return _Clip(
        str(value["ytb_id"]),
        (float(time["start_sec"]), float(time["end_sec"])),
        (top, bottom, left, right),
    )


def _whole(file: Path) -> bool:
    return file.parent.name == "raw"


def _square(frames: Frames, box: tuple[float, float, float, float]) -> Frames:
    """The square in the middle of ``box``, as the authors cut it."""
    height, width = frames.shape[1:3]
    top, bottom = max(box[0] - AROUND, 0) * height, min(box[1] + AROUND, 1) * height
    left, right = max(box[2] - AROUND, 0) * width, min(box[3] + AROUND, 1) * width
    half, y, x = min(bottom - top, right - left) / 2, (top + bottom) / 2, (left + right) / 2
    return frames[:, round(y - half) : round(y + half), round(x - half) : round(x + half)]
