"""Drawn places with a name each, so that questions about the location have an exact answer.

Every place is a seeded sketch: the same kind looks different for every seed (layout, colours, light)."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from pvchat.errors import UserError
from pvchat.synthesis import indoors, outdoors
from pvchat.synthesis.brush import Rng

BACKGROUNDS: dict[str, tuple[str, Callable[[Rng], Image.Image]]] = {
    "beach": ("on a beach", outdoors.beach),
    "forest": ("in a forest", outdoors.forest),
    "brick wall": ("in front of a brick wall", indoors.brick_wall),
    "bookshelf": ("in front of a bookshelf", indoors.bookshelf),
    "city": ("in a city at night", outdoors.city_night),
    "kitchen": ("in a tiled kitchen", indoors.kitchen),
    "snow": ("in the snow", outdoors.snow),
    "stage": ("on a theatre stage", indoors.stage),
    "mountains": ("in the mountains", outdoors.mountains),
    "desert": ("in a desert", outdoors.desert),
    "classroom": ("in a classroom", indoors.classroom),
    "meadow": ("in a flower meadow", outdoors.meadow),
}
"""Kind -> (where it is, as the end of a sentence; how it is drawn)."""


@lru_cache(maxsize=16)  # a scene is drawn for each of its portraits
def background(kind: str, *, seed: int, size_px: int = 224) -> npt.NDArray[np.uint8]:
    """One place of ``kind`` as (size_px, size_px, 3) uint8, slightly out of focus as behind a portrait."""
    if kind not in BACKGROUNDS:
        raise UserError(f"a background must be one of {', '.join(BACKGROUNDS)}: got {kind!r}.")
    rng = np.random.default_rng([seed, list(BACKGROUNDS).index(kind)])
    image = BACKGROUNDS[kind][1](rng)
    if rng.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    image = image.filter(ImageFilter.GaussianBlur(rng.uniform(1.2, 2.6)))
    pixels = np.array(image.resize((size_px, size_px), Image.Resampling.LANCZOS))
    pixels.setflags(write=False)
    return pixels


def place(kind: str) -> str:
    """Where ``kind`` is, as the end of a sentence: ``"on a beach"``."""
    return BACKGROUNDS[kind][0]
