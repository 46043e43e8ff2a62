"""Drawn shoulders in a known colour, so that questions about clothes have an exact answer.

Coordinates are head units as in ``matte.HeadFrame``: origin between the eyes, 1 = eyes to mouth, y down."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from pvchat.synthesis.brush import Colour, shade

Garment = Literal["t-shirt", "shirt", "hoodie"]
_OVERSAMPLE = 2
_RAISED = 0.22  # shoulders are drawn this much higher than their coordinates say: shorter necks look right
COLOURS: dict[str, Colour] = {
    "red": (190, 34, 40),
    "blue": (38, 84, 176),
    "green": (36, 132, 72),
    "yellow": (236, 198, 52),
    "purple": (116, 58, 156),
    "orange": (232, 124, 36),
    "white": (236, 236, 232),
    "black": (38, 38, 42),
}
GARMENTS: tuple[Garment, ...] = ("t-shirt", "shirt")


@dataclass(frozen=True)
class Clothes:
    """What a person wears; reads as ``"red t-shirt"``."""

    colour: str
    garment: Garment

    def __str__(self) -> str:
        return f"{self.colour} {self.garment}"


@dataclass(frozen=True)
class Opening:
    """The hole in a hood through which the face looks: upper and lower end, half width, in head units."""

    top: float = -1.0
    bottom: float = 1.72
    half_width: float = 1.15

    def within(self, other: "Opening") -> "Opening":
        return Opening(
            max(self.top, other.top), min(self.bottom, other.bottom), min(self.half_width, other.half_width)
        )


class Pen:
    """Draws in head units on a transparent square canvas with the origin at ``origin`` (pixels)."""

    def __init__(self, size: int, origin: tuple[float, float], unit: float) -> None:
        self.size = size
        self.origin = np.array(origin) * _OVERSAMPLE
        self.unit = unit * _OVERSAMPLE
        self.canvas = Image.new("RGBA", (size * _OVERSAMPLE,) * 2)

    def like(self, *, raised: float = 0.0) -> "Pen":
        """An empty canvas with the same coordinates, but drawings appear ``raised`` units higher."""
        x, y = ((self.origin - [0, raised * self.unit]) / _OVERSAMPLE).tolist()
        return Pen(self.size, (x, y), self.unit / _OVERSAMPLE)

    def mask(self, points: npt.NDArray[np.float64], blur: float = 0.0, opacity: int = 255) -> Image.Image:
        """A filled polygon (N, 2) as opacity; ``blur`` in head units. Soft shapes are drawn small: faster."""
        shrink = 4 if blur else 1
        mask = Image.new("L", (self.canvas.width // shrink,) * 2)
        corners = [tuple(p) for p in ((points * self.unit + self.origin) / shrink).tolist()]
        ImageDraw.Draw(mask).polygon(corners, fill=opacity)
        if blur:
            mask = mask.filter(ImageFilter.GaussianBlur(blur * self.unit / shrink))
            mask = mask.resize(self.canvas.size, Image.Resampling.BILINEAR)
        return mask

    def shape(self, points: npt.ArrayLike, colour: Colour, blur: float = 0.0, opacity: int = 255) -> None:
        """A filled polygon (N, 2); with ``blur`` (head units) a soft shadow or light."""
        layer = Image.new("RGBA", self.canvas.size, colour)
        layer.putalpha(self.mask(np.asarray(points, float), blur, opacity))
        self.canvas.alpha_composite(layer)

    def clip_to(self, alpha: Image.Image) -> None:
        self.canvas.putalpha(ImageChops.multiply(self.canvas.getchannel("A"), alpha))

    def pixels(self) -> npt.NDArray[np.uint8]:
        """The drawing as (size, size, 4) RGBA."""
        return np.asarray(self.canvas.reduce(_OVERSAMPLE))


def curve(points: npt.ArrayLike, steps: int = 12) -> npt.NDArray[np.float64]:
    """Catmull-Rom curve through ``points`` (N, 2)."""
    p = np.asarray(points, float)
    p = np.concatenate([p[:1], p, p[-1:]])
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    parts = [
        0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
        for a, b, c, d in zip(p[:-3], p[1:-2], p[2:-1], p[3:], strict=True)
    ]
    return np.concatenate([*parts, p[-1:]])


def ellipse(
    x: float, y: float, half_width: float, half_height: float, squareness: float = 2.0
) -> npt.NDArray[np.float64]:
    """Ellipse; a ``squareness`` above 2 fills the corners (superellipse)."""
    angle = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    c, s = np.cos(angle), np.sin(angle)
    c, s = (np.sign(v) * np.abs(v) ** (2 / squareness) for v in (c, s))
    return np.stack([x + half_width * c, y + half_height * s], -1)


_SHOULDER = [(0.66, 2.15), (1.05, 2.48), (1.9, 2.78), (2.75, 3.2), (3.2, 4.1), (3.42, 6.5), (3.5, 10.0)]


def torso(pen: Pen, clothes: Clothes, skin: Colour) -> None:
    """Neck, shoulders and chest."""
    neck(pen, skin)
    garment(pen, clothes)


def neck(pen: Pen, skin: Colour) -> None:
    """The neck down to the chest, in the shadow of the chin."""
    pen, canvas = pen.like(raised=_RAISED), pen.canvas
    outline = [
        (-0.82, 0.9),
        (-0.74, 1.7),
        (-0.8, 2.3),
        (-1.2, 2.7),
        (0, 3.3),
        (1.2, 2.7),
        (0.8, 2.3),
        (0.74, 1.7),
        (0.82, 0.9),
    ]
    pen.shape(curve(outline), shade(skin, 0.86))
    throat = pen.canvas.getchannel("A")
    pen.shape(ellipse(0, 1.55, 0.95, 0.62), shade(skin, 0.5), blur=0.16, opacity=190)  # shadow of the chin
    pen.clip_to(throat)
    canvas.alpha_composite(pen.canvas)


def garment(pen: Pen, clothes: Clothes) -> None:
    """Clothes on shoulders and chest."""
    colour = COLOURS[clothes.colour]
    body, canvas = pen.like(raised=_RAISED), pen.canvas
    right = curve(_SHOULDER)
    collar = {"t-shirt": 2.95, "shirt": 3.5, "hoodie": 2.6}[clothes.garment]
    neckline = curve(
        [
            (-0.66, 2.15),
            (-0.5, 2.15 + 0.6 * (collar - 2.15)),
            (0, collar),
            (0.5, 2.15 + 0.6 * (collar - 2.15)),
            (0.66, 2.15),
        ]
    )
    if clothes.garment == "shirt":
        neckline = np.array([(-0.66, 2.15), (0, collar), (0.66, 2.15)])
    outline = np.concatenate([neckline, right, (right * [-1, 1])[::-1]])
    body.shape(outline, colour)
    edge = body.canvas.getchannel("A")
    for side in (-1, 1):
        body.shape(
            [(side * 2.2, 3.4), (side * 3.8, 3.0), (side * 3.8, 10), (side * 2.5, 10)],
            shade(colour, 0.6),
            0.4,
            150,
        )
        body.shape(
            curve([(side * 2.35, 4.2), (side * 2.15, 5.2), (side * 2.3, 10), (side * 2.2, 10)]),
            shade(colour, 0.45),
            0.1,
            160,
        )
        body.shape(
            curve([(side * 0.5, 3.2), (side * 1.3, 3.05), (side * 2.2, 3.3), (side * 1.2, 3.5)]),
            shade(colour, 1.25),
            0.25,
            90,
        )
        body.shape(
            curve([(side * 1.9, 4.3), (side * 1.2, 4.7), (side * 0.7, 4.75), (side * 1.25, 4.85)]),
            shade(colour, 0.6),
            0.09,
            110,
        )
    _trimmings(body, clothes, colour, neckline, collar)
    body.clip_to(edge)
    canvas.alpha_composite(body.canvas)


def _trimmings(
    body: Pen, clothes: Clothes, colour: Colour, neckline: npt.NDArray[np.float64], collar: float
) -> None:
    dark, light = shade(colour, 0.66), shade(colour, 1.16)
    if clothes.garment == "t-shirt":
        body.shape(np.concatenate([neckline, (neckline * 1.0 + [0, 0.2])[::-1]]), dark)
    elif clothes.garment == "shirt":
        for side in (-1, 1):
            body.shape(
                [(side * 0.66, 2.1), (side * 1.1, 2.4), (side * 0.85, 3.45), (0, collar)], dark, 0.05, 160
            )
            body.shape([(side * 0.66, 2.1), (side * 1.06, 2.4), (side * 0.8, 3.35), (0, collar)], light)
        body.shape([(-0.13, collar), (0.13, collar), (0.13, 10), (-0.13, 10)], shade(colour, 0.85))
        button = (240, 240, 236) if sum(colour) < 420 else (90, 90, 96)
        for y in np.arange(collar + 0.35, 9, 0.75):
            body.shape(ellipse(0, y, 0.06, 0.06), button)
    else:
        body.shape(
            curve([(-1.7, 2.7), (-0.9, 3.1), (0, 3.25), (0.9, 3.1), (1.7, 2.7), (0, 2.2)]), dark, 0.12, 200
        )
        for side in (-1, 1):
            body.shape(
                curve([(side * 0.42, 2.9), (side * 0.36, 4.4), (side * 0.44, 4.4), (side * 0.52, 2.9)]),
                (236, 234, 228),
            )


def hood(back: Pen, front: Pen, clothes: Clothes, opening: Opening) -> None:
    """A hood: ``back`` goes behind the head, ``front`` over it and leaves the face free."""
    colour = COLOURS[clothes.colour]
    middle, half = (opening.top + opening.bottom) / 2, (opening.bottom - opening.top) / 2
    outer = curve(
        [(0, -1.95), (0.9, -1.75), (1.45, -1.0), (1.6, 0.3), (1.5, 1.4), (1.4, 2.1), (0.9, 2.45), (0, 2.55)]
    )
    outline = np.concatenate([outer, (outer * [-1, 1])[::-1]])
    back.shape(outline, shade(colour, 0.35))
    front.shape(outline, colour)
    edge = front.canvas.getchannel("A")
    for side in (-1, 1):
        outside = [(1.35, -1.2), (1.7, 0.2), (1.6, 2.4), (2.1, 0.2)]
        front.shape(curve(np.array(outside) * [side, 1]), shade(colour, 0.5), 0.22, 180)
        fold = [(1.25, -0.9), (1.38, 0.3), (1.25, 1.6), (1.3, 0.3)]
        front.shape(curve(np.array(fold) * [side, 1]), shade(colour, 1.2), 0.1, 110)
    front.shape(curve([(-0.8, -1.65), (0, -1.85), (0.8, -1.65), (0, -1.45)]), shade(colour, 1.22), 0.18, 120)
    front.shape(ellipse(0, middle, opening.half_width + 0.13, half + 0.13, 2.5), shade(colour, 0.7))
    front.clip_to(edge)
    hole = front.mask(ellipse(0, middle, opening.half_width, half, 2.5))
    hole = hole.filter(ImageFilter.GaussianBlur(0.04 * front.unit))
    front.clip_to(ImageChops.invert(hole))
