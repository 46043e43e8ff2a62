"""Light on a person and on the whole picture; exposure and colour of heads that are compared."""

from copy import copy

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]
_CHEEK = 150.0  # brightness that faces are drawn towards
_CAST = 0.02  # share of brightness that white light has of a colour


class Light:
    """Light on the person (level, warmth, side, a little of the colours of the place) and on the picture."""

    def __init__(self, rng: np.random.Generator, plate: Pixels) -> None:
        mean = plate.mean((0, 1))
        ambient = 1 + 0.14 * (mean / max(float(mean.mean()), 1.0) - 1)
        level = 0.9 + 0.2 * float(mean.mean()) / 255 + rng.uniform(-0.07, 0.07)
        warmth = rng.uniform(-0.05, 0.05)
        self.colour = (level * ambient * [1 + warmth, 1, 1 - warmth]).astype(np.float32)
        self.side = float(rng.uniform(-0.16, 0.16))
        self.gain = float(rng.uniform(0.93, 1.07))
        self.contrast = float(rng.uniform(0.9, 1.08))

    def on(self, layer: Pixels) -> Image.Image:
        across = 1 + self.side * np.linspace(-1, 1, layer.shape[1], dtype=np.float32)[:, None]
        colours = np.minimum(layer[..., :3] * (self.colour * across), 255).astype(np.uint8)
        return Image.fromarray(np.dstack([colours, layer[..., 3]]))

    def white(self) -> "Light":
        """The same light with hardly a colour, in which white clothes are white."""
        paler = copy(self)
        grey = float(self.colour.mean())
        paler.colour = np.clip(self.colour, grey * (1 - _CAST), grey * (1 + _CAST)).astype(np.float32)
        return paler

    def finish(self, frame: Pixels, noise: npt.NDArray[np.float32]) -> Pixels:
        scale, shift = self.gain * self.contrast, 118 * (1 - self.contrast)
        return np.clip(frame * np.float32(scale) + (noise + np.float32(shift)), 0, 255).astype(np.uint8)


def tone(rgb: Pixels) -> Pixels:
    """Grey, printed in the tones of skin, so that it does not look pasted into a coloured scene."""
    grey = rgb.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    levels = np.array([0, 70, 150, 215, 255])
    tones = np.array([[10, 8, 8], [86, 60, 50], [176, 134, 114], [236, 202, 182], [255, 248, 240]])
    return np.stack([np.interp(grey, levels, tones[:, c]) for c in range(3)], -1).astype(np.uint8)


def exposed(rgb: Pixels, brightness: float) -> Pixels:
    """``rgb``, whose cheeks have ``brightness``, made lighter or darker; colours stay as they are."""
    brightness = max(brightness, 1.0)
    gamma = np.clip(np.log(_CHEEK / 255) / np.log(min(brightness, 250) / 255), 0.7, 1.2)
    levels = np.maximum(np.arange(256), 1) / 255
    gain = (levels**gamma / levels).astype(np.float32)[rgb.max(-1)]
    return np.asarray(np.minimum(rgb * gain[..., None], 255), np.uint8)
