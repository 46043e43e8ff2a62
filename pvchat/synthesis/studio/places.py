"""Where scenes play: drawn places, or pictures and clips of a user's folder."""

import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter, ImageOps

from pvchat.datamodules.video import PHOTOS, VIDEOS, decode
from pvchat.errors import UserError
from pvchat.synthesis.backgrounds import BACKGROUNDS, background

Frames = npt.NDArray[np.uint8]
PHRASES = "places.json"
_WHERE = (
    "in",
    "on",
    "at",
    "by",
    "near",
    "inside",
    "outside",
    "behind",
    "under",
    "beside",
    "next to",
    "among",
)
_WHOSE = ("a", "an", "the", "my", "your", "his", "her", "our", "their")
_NARROWEST = 0.75  # of the picture that a scene shows


class Places(Protocol):
    """Places by name."""

    names: tuple[str, ...]
    fingerprint: str
    drawn: bool
    """Whether each seed shows another picture."""

    def phrase(self, name: str) -> str:
        """Where ``name`` is, as the end of a sentence: ``"on a beach"``."""
        ...

    def plates(self, name: str, *, seed: int, num_frames: int, fps: float, size_px: int) -> Frames:
        """Pictures (num_frames or 1, size_px, size_px, 3) of the place; another seed shows it otherwise."""
        ...


class DrawnPlaces:
    """The drawn places of ``backgrounds``, all or those of ``names``."""

    drawn = True

    def __init__(self, *, names: tuple[str, ...] = tuple(BACKGROUNDS)) -> None:
        self.names = names
        self.fingerprint = "drawn:" + ",".join(names)

    def phrase(self, name: str) -> str:
        return BACKGROUNDS[name][0]

    def plates(self, name: str, *, seed: int, num_frames: int, fps: float, size_px: int) -> Frames:
        return background(name, seed=seed, size_px=size_px)[None]


class FolderPlaces:
    """Pictures and clips of ``folder``; a file's stem is the name of the place.

    ``places.json`` in the folder may say where each is: ``{"office2": "in a small office"}``. Otherwise it is
    read off the stem: "on a pier", "my office" -> "in my office", "Paris" -> "in Paris", "garden" -> "in the
    garden". Raises UserError for a folder without pictures, and for files that cannot be read."""

    drawn = False

    def __init__(self, folder: str | Path) -> None:
        folder = Path(folder)
        kinds = {*PHOTOS, *VIDEOS}
        files = sorted(f for f in folder.iterdir() if f.suffix.lower() in kinds) if folder.is_dir() else []
        if not files:
            raise UserError(
                f"a folder of places must hold pictures or clips: {folder} has none. Add some, or leave the "
                "option out for drawn places."
            )
        self._files = {file.stem: file for file in files}
        if len(self._files) < len(files):
            raise UserError(f"files of places must differ in more than their ending: see {folder}.")
        self._phrases = _read_phrases(folder / PHRASES, set(self._files))
        digest = hashlib.sha256(json.dumps({n: self.phrase(n) for n in self._files}).encode())
        for file in files:
            digest.update(decode(file, num_frames=1).frames.tobytes())
        self.names = tuple(self._files)
        self.fingerprint = "folder:" + digest.hexdigest()[:16]

    def phrase(self, name: str) -> str:
        return self._phrases.get(name) or _read_stem(name)

    def plates(self, name: str, *, seed: int, num_frames: int, fps: float, size_px: int) -> Frames:
        rng = np.random.default_rng([seed, 5])
        file = self._files[name]
        moves = file.suffix.lower() not in PHOTOS
        whole = _decoded(file, num_frames, num_frames / fps if moves else None)
        share, x, y = rng.uniform(_NARROWEST, 1), rng.uniform(), rng.uniform()
        blur, flip = rng.uniform(0.4, 1.2) * size_px / 256, rng.random() < 0.5
        return np.stack([_cut(f, share, (x, y), size_px, blur, flip) for f in whole[: None if moves else 1]])


@lru_cache(maxsize=4)
def _decoded(file: Path, num_frames: int, seconds: float | None) -> Frames:
    """Frames of the first ``seconds`` of a clip (all that it has if it is shorter), or a picture."""
    return decode(file, num_frames=num_frames, end_s=seconds, max_px=1024).frames


def _cut(
    picture: Frames, share: float, centre: tuple[float, float], size_px: int, blur: float, flip: bool
) -> Frames:
    height, width = (round(n * share) for n in picture.shape[:2])
    left, top = (
        round(c * (n - m)) for c, n, m in zip(centre, picture.shape[1::-1], (width, height), strict=True)
    )
    part = Image.fromarray(picture[top : top + height, left : left + width])
    image = ImageOps.fit(part, (size_px, size_px), Image.Resampling.LANCZOS)
    image = image.filter(ImageFilter.GaussianBlur(blur))
    return np.asarray(ImageOps.mirror(image) if flip else image)


def _read_phrases(path: Path, names: set[str]) -> dict[str, str]:
    if not path.exists():
        return {}
    try:
        phrases = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{PHRASES} must be JSON: {path} is not ({error}).") from error
    if not isinstance(phrases, dict) or not all(isinstance(p, str) and p for p in phrases.values()):
        raise UserError(f'{PHRASES} must map names to phrases, as {{"pier": "on a pier"}}: {path} does not.')
    if unknown := sorted(set(phrases) - names):
        raise UserError(f"{PHRASES} must name files beside it: {path} names {', '.join(unknown)}.")
    return phrases


def _read_stem(stem: str) -> str:
    words = stem.replace("_", " ").replace("-", " ").split()
    if not words:
        raise UserError(f"a place is named by its file: {stem!r} says nothing. Rename it, or use {PHRASES}.")
    phrase = " ".join(words)
    if any(f"{phrase.lower()} ".startswith(f"{start} ") for start in _WHERE):
        return phrase[0].lower() + phrase[1:]
    if words[0].lower() in _WHOSE:
        return "in " + phrase[0].lower() + phrase[1:]
    return f"in {phrase}" if phrase[0].isupper() else f"in the {phrase}"
