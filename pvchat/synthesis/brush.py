"""What the drawn places share: tints, gradients, noise, skylines."""

import numpy as np
import numpy.typing as npt
from PIL import Image

Rng = np.random.Generator
Colour = tuple[int, int, int]
PX = 448  # places are drawn at this size, then shrunk


def tint(rng: Rng, colour: Colour, spread: float = 12) -> Colour:
    """A colour near ``colour``."""
    r, g, b = (int(np.clip(c + rng.normal(0, spread), 0, 255)) for c in colour)
    return r, g, b


def shade(colour: Colour, factor: float) -> Colour:
    """``colour``, darker or lighter."""
    r, g, b = (int(np.clip(c * factor, 0, 255)) for c in colour)
    return r, g, b


def gradient(*stops: tuple[float, Colour]) -> npt.NDArray[np.float64]:
    """Vertical gradient (P, P, 3) through ``(height 0-1, colour)`` stops."""
    y = np.linspace(0, 1, PX)
    heights, colours = [s[0] for s in stops], np.array([s[1] for s in stops], float)
    column = np.stack([np.interp(y, heights, colours[:, c]) for c in range(3)], -1)
    return np.repeat(column[:, None], PX, 1)


def noise(rng: Rng, scale: float, stretch: float = 1.0) -> npt.NDArray[np.float64]:
    """Smooth noise (P, P) of unit variance; ``scale`` in pixels, ``stretch`` > 1 draws it out sideways."""
    size = (max(4, round(PX / scale / stretch)), max(4, round(PX / scale)))
    coarse = Image.fromarray(rng.normal(size=size[::-1]).astype(np.float32))
    field = np.asarray(coarse.resize((PX, PX), Image.Resampling.BICUBIC), float)
    return np.asarray((field - field.mean()) / (field.std() + 1e-9))


def image(pixels: npt.NDArray[np.float64]) -> Image.Image:
    """Picture of float ``pixels`` (P, P, 3) in 0-255."""
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def ridge(rng: Rng, base: float, height: float, roughness: int) -> list[tuple[float, float]]:
    """Skyline as a polygon closed at the bottom edge."""
    x = np.linspace(0, PX, 120)
    y = np.full_like(x, base)
    for k in range(1, roughness):
        y -= height / k**1.1 * np.sin(x / PX * np.pi * 2 * k * 0.7 + rng.uniform(0, 6.3)) * 0.5
    return [(0, PX), *zip(x.tolist(), y.tolist(), strict=True), (PX, PX)]
