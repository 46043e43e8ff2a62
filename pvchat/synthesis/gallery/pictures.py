"""A gallery: photos and clips of other people, on this machine, from which negatives are chosen."""

import hashlib
import io
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from pvchat.datamodules.video import MEDIA, clip_key, decode, is_photo
from pvchat.errors import UserError

Frames = npt.NDArray[np.uint8]
CLIP_FRAMES = 4
"""Frames of a clip that are looked at."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Picture:
    """A photo or clip. ``key`` names it in its gallery; pictures of one ``source`` (a recording) may show
    the same person; ``stamp`` changes when the file does."""

    key: str
    source: str
    stamp: str


class Gallery(Protocol):
    """Pictures with the licence they are under; ``root`` tells galleries apart."""

    root: Path
    licence: str
    commercial: bool

    def pictures(self) -> Iterator[Picture]:
        """What is there now. Raises UserError where the layout is not the gallery's."""
        ...

    def content(self, key: str) -> str:
        """Hash of what ``read`` shows. Raises UserError for a file that cannot be read."""
        ...

    def read(self, key: str) -> Frames:
        """Frames (T, H, W, 3), one of a photo. Raises UserError for a picture that is broken."""
        ...


class FolderGallery:
    """Photos and clips (``video.MEDIA``) in a folder and below; names that start with a dot are left out.
    ``one_person_per_folder``: pictures of one sub-folder show one person."""

    def __init__(
        self,
        root: str | Path,
        *,
        licence: str = "not stated",
        commercial: bool = False,
        one_person_per_folder: bool = False,
    ) -> None:
        self.root, self.licence, self.commercial = folder(root), licence, commercial
        self.one_person_per_folder = one_person_per_folder

    def pictures(self) -> Iterator[Picture]:
        for path in sorted(self.root.rglob("*")):
            inside = path.relative_to(self.root)
            hidden = any(part.startswith(".") for part in inside.parts)
            if path.suffix.lower() in MEDIA and path.is_file() and not hidden:
                together = self.one_person_per_folder and len(inside.parts) > 1
                source = inside.parent if together else inside
                yield Picture(inside.as_posix(), source.as_posix(), stamp(path))

    def content(self, key: str) -> str:
        return clip_key(self.root / key, num_frames=CLIP_FRAMES)

    def read(self, key: str) -> Frames:
        return look_at(self.root / key)


def look_at(file: Path) -> Frames:
    """A photo, or a few frames of a clip."""
    return decode(file, num_frames=1 if is_photo(file) else CLIP_FRAMES, frame_policy="middle").frames


def folder(root: str | Path) -> Path:
    """``root`` as an absolute path. Raises UserError unless it is a folder."""
    path = Path(root).expanduser()
    if not path.is_dir():
        raise UserError(
            f"a gallery is a folder of photos and clips: {root} is none. Name one, as in --gallery FOLDER."
        )
    return path.resolve()


def stamp(path: Path) -> str:
    """Size and time of modification."""
    stat = path.stat()
    return f"{stat.st_size} {stat.st_mtime_ns}"


def photo(data: bytes, name: str) -> Frames:
    """The upright photo (1, H, W, 3) in the bytes of a file. Raises UserError."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))[None]
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(
            f"{name} is not a photo that can be read. Fetch it again, or leave it out."
        ) from error


def digest(*parts: object) -> str:
    """sha256 of what ``parts`` print."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def say_absent(count: int, total: int, root: Path) -> None:
    """Tell how much of a data set's list is not on this machine."""
    if count:
        _log.warning("%d of %d clips that %s lists are not there; the others are used.", count, total, root)
