"""A photo made ready for the studio: small, with a margin, taken apart, measured."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from pvchat.synthesis.animation.animator import MIN_FACE_PX, Subject, WarpAnimator
from pvchat.synthesis.matte import HeadFrame
from pvchat.synthesis.portraits import Portrait, choose_face, cut_portrait
from pvchat.synthesis.studio.actors import Actor
from pvchat.synthesis.studio.garments import bare_mask, clothes_mask, face_mask
from pvchat.synthesis.studio.scenes import Framing

Pixels = npt.NDArray[np.uint8]
Map = npt.NDArray[np.float32]
_KEPT = (8.5, 4.5, 10.5)  # head units beside, above and below the eyes that a scene may show
_MARGIN = 1.0  # head units by which the border of the photo is continued, so that a head has room to move
_FULL_CHEST = 0.07  # least share of the frame that clothes fill
_SURELY = 0.75  # least share of the chest that is taken for clothes
_TINY_COVER = 0.04
_BLACK = 20


@dataclass(frozen=True)
class Prepared:
    """``subject`` is the photo at the size of the studio; ``head`` says where the head is in its pixels,
    ``clothes`` (H, W) what is worn, 0 to 1, ``bare`` (H, W) what drawn
    clothes may leave to be seen; the photo itself is ``left, top, right, bottom`` of it."""

    subject: Subject
    portrait: Portrait
    head: HeadFrame
    clothes: Map
    bare: Map
    inner: tuple[int, int, int, int]

    def fills(self, framing: Framing, slack: float) -> bool:
        """True when the person, in their own clothes, ends nowhere but at the border of the frame, which is
        ``slack`` (share of it) larger on each side as the camera moves."""
        side = self.head.unit / framing.unit
        x0, y0 = (
            o - (at + slack) * side for o, at in zip(self.head.origin, (framing.x, framing.y), strict=True)
        )
        x1, y1 = x0 + (1 + 2 * slack) * side, y0 + (1 + 2 * slack) * side
        left, top, right, bottom = self.inner
        if y1 > bottom + 0.3 * self.head.unit:
            return False
        alpha = self.subject.layers.alpha[0].numpy()
        columns = slice(max(left, round(x0)), min(right, round(x1)))
        rows = slice(max(top, round(y0)), min(bottom, round(y1)))
        cut = [alpha[rows, left]] * int(x0 < left) + [alpha[rows, right - 1]] * int(x1 > right)
        cut += [alpha[top, columns]] * int(y0 < top)
        if any(line.mean() > _TINY_COVER for line in cut):
            return False
        x, reach = float(self.head.origin[0]), 0.8 * self.head.unit
        base = alpha[min(round(y1), bottom) - 3, max(0, round(x - reach)) : round(x + reach)]
        middle, unit = float(self.head.origin[1]), self.head.unit
        chest = self.clothes[round(middle + 2.4 * unit) : min(round(middle + 4.2 * unit), round(y1))]
        chest = chest[:, max(0, round(x - reach)) : round(x + reach)]
        worn = chest.size > 0 and chest.mean() > _SURELY
        return bool(worn and base.min() > 0.9 and self.clothes[rows, columns].sum() > _FULL_CHEST * side**2)


def prepare(actor: Actor, animator: WarpAnimator, *, unit_px: float) -> Prepared:
    """``actor`` at ``unit_px`` pixels from eyes to mouth, or fewer where the photo has fewer. Raises
    UserError for a photo that cannot be animated."""
    photo = without_bars(actor.photo)
    face = choose_face(animator.faces.detect(photo[None])[0], Path(actor.source_id))
    portrait = cut_portrait([photo], [face], person=actor.person, source_id=actor.source_id)
    frame = HeadFrame(np.asarray(face.landmarks, float))
    height = float(face.box[3] - face.box[1])
    # never so small that the animator refuses the face; too small in the photo itself is for it to say
    scale = min(1.0, max(unit_px / frame.unit, 1.3 * MIN_FACE_PX / height))
    beside, above, below = (n * frame.unit for n in _KEPT)
    x, y = frame.origin
    box = (
        max(0, int(x - beside)),
        max(0, int(y - above)),
        min(photo.shape[1], int(x + beside)),
        min(photo.shape[0], int(y + below)),
    )
    size = [max(16, round((b - a) * scale)) for a, b in zip(box[:2], box[2:], strict=True)]
    small = np.asarray(Image.fromarray(photo).resize(size, Image.Resampling.LANCZOS, box))
    margin = round(_MARGIN * frame.unit * scale)
    padded = np.pad(small, ((margin, margin), (margin, margin), (0, 0)), mode="edge")
    marks = (np.asarray(face.landmarks, float) - box[:2]) * (
        np.array(size) / np.subtract(box[2:], box[:2])
    ) + margin
    subject, head = animator.prepare(padded), HeadFrame(marks)
    shown = face_mask(subject.face.rest, (padded.shape[0], padded.shape[1]))
    subject = _with_face(subject, shown)
    clothes = clothes_mask(padded, subject.layers.alpha[0].numpy(), head, shown)
    inner = (margin, margin, margin + size[0], margin + size[1])
    bare = (1 - clothes) * bare_mask(padded, subject.layers.alpha[0].numpy(), head, shown)
    return Prepared(subject, portrait, head, clothes, bare, inner)


def _with_face(subject: Subject, face: Map) -> Subject:
    """``subject`` with its ``face`` (H, W), whatever the matte thought: of a close-up it may see nothing."""
    cover = torch.from_numpy(face)[None]
    photo = torch.from_numpy(subject.photo).permute(2, 0, 1) / 255
    foreground = subject.layers.foreground * (1 - cover) + photo * cover
    layers = replace(subject.layers, foreground=foreground, alpha=torch.maximum(subject.layers.alpha, cover))
    return replace(subject, layers=layers)


def without_bars(photo: Pixels) -> Pixels:
    """``photo`` without the black bars of a letterbox."""
    lit = photo.max(-1) > _BLACK
    rows, columns = (np.flatnonzero(lit.mean(axis) > 0.02) for axis in (1, 0))
    if not len(rows) or not len(columns):
        return photo
    return photo[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
