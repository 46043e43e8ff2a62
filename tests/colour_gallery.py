"""Pictures of flat colours for the tests of the gallery: each vertical band is a face, grey is nobody."""

from pathlib import Path

import numpy as np
from PIL import Image

from pvchat.faces import Vector
from pvchat.synthesis.gallery.pictures import Frames

Colour = tuple[int, int, int]
GREY = (128, 128, 128)


class ColourEmbedder:
    """Colours / 100, so that distances can be read off; ``seen`` counts pictures, ``fails_at`` is Ctrl-C."""

    width, cosine, licence, fingerprint = 3, False, "none", "colours"

    def __init__(self, *, fails_at: int | None = None) -> None:
        self.seen, self.fails_at = 0, fails_at

    def embed(self, frames: Frames) -> list[Vector]:
        if self.seen == self.fails_at:
            raise KeyboardInterrupt
        self.seen += 1
        bands = np.unique(frames.reshape(-1, 3), axis=0)
        return [(b / 100).astype(np.float32) for b in bands if tuple(b) != GREY]


class HueEmbedder(ColourEmbedder):
    """Directions of colours, compared by cosine."""

    cosine, fingerprint = True, "hues"

    def embed(self, frames: Frames) -> list[Vector]:
        return [v / np.linalg.norm(v) for v in super().embed(frames)]


def paint(path: Path, *colours: Colour) -> Path:
    """A picture of colours side by side."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = np.array(colours, np.uint8)[None].repeat(8, axis=0).repeat(8, axis=1)
    Image.fromarray(picture).save(path)
    return path


def red(shade: int) -> Vector:
    """The embedding of a shade of red."""
    return np.array([shade / 100, 0, 0], np.float32)
