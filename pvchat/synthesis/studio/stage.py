"""A transparent picture, a little larger than the frame, on which a person is put together."""

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops

from pvchat.synthesis.brush import Colour
from pvchat.synthesis.light import Light
from pvchat.synthesis.matte import HeadFrame
from pvchat.synthesis.studio.camera import SLACK
from pvchat.synthesis.studio.scenes import Framing
from pvchat.synthesis.wardrobe import Clothes, Opening, Pen, garment, hood, neck

Pixels = npt.NDArray[np.uint8]
_RAISED = 0.2  # head units by which shoulders are higher than they are drawn
_NECK = 1.9  # head units from the eyes to the point about which a head leans


class Stage:
    """Persons in frames of ``size_px``, placed as ``framing`` says."""

    def __init__(self, size_px: int, framing: Framing) -> None:
        margin = round(SLACK * size_px)
        self.width_px = size_px + 2 * margin
        self._origin = (framing.x * size_px + margin, framing.y * size_px + margin)
        self._unit = framing.unit * size_px
        self._behind: list[Image.Image] = []
        self._before: list[Image.Image] = []
        self._hood: list[Image.Image] = []

    def dress(self, clothes: Clothes, skin: Colour, opening: Opening | None, light: Light) -> None:
        """Draw what a head without a body gets: neck, clothes and, with an ``opening``, a hood."""
        pen = Pen(self.width_px, self._origin, self._unit).like(raised=0.0 if opening else _RAISED)
        throat, body = pen.like(), pen.like()
        neck(throat, skin)
        garment(body, clothes)
        white = light.white()
        self._behind, self._before = [light.on(throat.pixels())], [white.on(body.pixels())]
        if opening is not None:
            pen = Pen(self.width_px, self._origin, self._unit)
            back, front = pen.like(), pen.like()
            hood(back, front, clothes, opening)
            self._hood = [white.on(p.pixels()) for p in (back, front)]

    def person(self, photo: Pixels, head: HeadFrame, roll: float) -> Image.Image:
        """The person (RGBA) whose ``photo`` (H, W, 4) has its ``head`` there, leaning by ``roll`` degrees."""
        canvas = Image.new("RGBA", (self.width_px,) * 2)
        hoods = [self._leaning(layer, roll) for layer in self._hood]
        tucked = not hoods  # a neck is in its collar, a hood lies on it
        behind = [self._leaning(layer, roll) for layer in self._behind]
        for layer in [*behind, *([] if tucked else self._before), *hoods[:1]]:
            canvas.alpha_composite(layer)
        placed = Image.new("RGBA", canvas.size)
        placed.paste(*self._placed(photo, head))
        if self._before:  # what is drawn is drawn for a head that is upright
            middle = self._origin
            placed = placed.rotate(np.degrees(head.roll), Image.Resampling.BICUBIC, center=middle)
        if hoods:
            placed.putalpha(ImageChops.multiply(placed.getchannel("A"), hoods[0].getchannel("A")))
        canvas.alpha_composite(placed)
        for layer in [*(self._before if tucked else []), *hoods[1:]]:
            canvas.alpha_composite(layer)
        return canvas

    def _placed(self, photo: Pixels, head: HeadFrame) -> tuple[Image.Image, tuple[int, int]]:
        """The photo at the size of the picture, cut to it, and its left upper corner there."""
        scale = head.unit / self._unit  # pixels of the photo to one of the picture
        spans = []
        for at, origin, size in zip(self._origin, head.origin, photo.shape[1::-1], strict=True):
            first = max(0, int(np.ceil(at - origin / scale)))
            last = min(self.width_px, int(np.floor(at + (size - origin) / scale)))
            low, high = (float(np.clip(origin + (n - at) * scale, 0, size)) for n in (first, last))
            spans.append((first, last, low, high))
        (left, right, x0, x1), (top, bottom, y0, y1) = spans
        size = (right - left, bottom - top)
        return Image.fromarray(photo).resize(size, Image.Resampling.BICUBIC, (x0, y0, x1, y1)), (left, top)

    def _leaning(self, layer: Image.Image, roll: float) -> Image.Image:
        neck = (self._origin[0], self._origin[1] + _NECK * self._unit)
        return layer.rotate(-roll, Image.Resampling.BILINEAR, center=neck)
