"""The default ``PortraitAnimator``: one photo, no generator, no GPU.

Landmarks in three dimensions are moved as commanded, a thin-plate spline takes the photo along, and the
person is put back over the place behind them."""

import hashlib
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image, ImageOps

from pvchat.assets import ASSETS
from pvchat.errors import UserError
from pvchat.faces import FaceAnalyzer
from pvchat.synthesis.animation.expressions import ExpressiveFace
from pvchat.synthesis.animation.face_mesh import FaceMesh
from pvchat.synthesis.animation.layers import Layers, PersonMatte
from pvchat.synthesis.animation.motion_library import CHANNELS, LIMITS, Curves, MotionLibrary
from pvchat.synthesis.animation.mouth import MouthPainter
from pvchat.synthesis.animation.recent import Recent
from pvchat.synthesis.animation.warp import HeadWarp
from pvchat.synthesis.photos import photo_hash, require_face
from pvchat.synthesis.roles import Adapter, Frames, Made

VERSION = "1"
MIN_FACE_PX = 40
_MOST_TURNED = 40.0  # degrees of yaw in the photo itself
_LEAST_YAW = 4.0  # even a head that is turned already still moves that much
_KEPT = 8  # prepared photos
_CHUNK = 8  # frames that are warped at a time


@dataclass(frozen=True)
class AnimatedPortrait(Made):
    """A moving person that can still be put elsewhere: ``foreground`` (T, H, W, 3) uint8 are their colours
    alone, ``alpha`` (T, H, W) uint8 how much of a pixel they cover; ``curves`` is the motion as commanded."""

    foreground: Frames
    alpha: Frames
    curves: Curves

    def on(self, place: Frames) -> "AnimatedPortrait":
        """The same in front of ``place`` (h, w, 3), which is cut to fit."""
        size = (self.alpha.shape[2], self.alpha.shape[1])
        fitted = np.asarray(ImageOps.fit(Image.fromarray(place), size, Image.Resampling.BICUBIC), np.float32)
        frames = np.empty_like(self.frames)
        for frame, colours, alpha in zip(frames, self.foreground, self.alpha, strict=True):
            share = alpha[..., None].astype(np.float32) / 255
            frame[:] = np.round(colours * share + fitted * (1 - share))
        return replace(self, frames=frames, inputs=(*self.inputs, photo_hash(place)))


@dataclass(frozen=True)
class Subject:
    """A photo that is ready to be moved; ``source`` is its hash."""

    source: str
    photo: Frames
    face: ExpressiveFace
    layers: Layers
    warp: HeadWarp
    mouth: MouthPainter


class WarpAnimator:
    """Moves the person of a photo by motions of ``library``. The photos last seen are kept prepared."""

    def __init__(
        self,
        *,
        library: MotionLibrary | None = None,
        faces: FaceAnalyzer | None = None,
        mesh: FaceMesh | None = None,
        matte: PersonMatte | None = None,
    ) -> None:
        self.library = MotionLibrary() if library is None else library
        self.faces, self.mesh = faces or FaceAnalyzer(), mesh or FaceMesh()
        self.matte = matte or PersonMatte()
        settings = (
            VERSION,
            ASSETS["face-mesh"].key,
            self.faces.fingerprint,
            sorted(self.library.motions.items()),
        )
        fingerprint = hashlib.sha256(repr(settings).encode()).hexdigest()[:16]
        self.adapter = Adapter("portrait-warp", VERSION, "Apache-2.0", True, fingerprint)
        self._subjects: Recent[Subject] = Recent(_KEPT)

    def animate(
        self, photo: Frames, motion: str, *, seed: int, num_frames: int, fps: float
    ) -> AnimatedPortrait:
        """Frames like ``photo`` (H, W, 3) in which the person does ``motion``, over their own background.

        Same seed, same bytes (with as many threads). Raises UserError for an unknown motion and for a photo
        without one clear face."""
        curves = self.library.curves(motion, seed=seed, num_frames=num_frames, fps=fps)
        return self.follow(photo, curves, seed=seed, command=motion)

    def follow(
        self, photo: Frames, curves: Curves, *, seed: int = 0, command: str = "curves"
    ) -> AnimatedPortrait:
        """The same for motion given as ``curves``; ``curves`` of the result are those that were used, within
        what the photo allows."""
        return self.move(self.prepare(photo), curves, seed=seed, command=command)

    def move(self, subject: Subject, curves: Curves, *, seed: int, command: str) -> AnimatedPortrait:
        """The same for a prepared photo, whose layers may have been changed since."""
        curves = _limited(curves, subject.face)
        shape = (len(curves), *subject.photo.shape)
        frames, foreground = np.empty(shape, np.uint8), np.empty(shape, np.uint8)
        alpha = np.empty(shape[:3], np.uint8)
        frames[:] = subject.photo
        foreground[:] = _bytes(subject.layers.foreground)
        alpha[:] = _bytes(subject.layers.alpha)[..., 0]
        region = subject.warp.region
        rows, columns = slice(region.top, region.bottom), slice(region.left, region.right)
        for start in range(0, len(curves), _CHUNK):
            part = slice(start, start + _CHUNK)
            colours, cover = _moved(subject, Curves(curves.values[part], curves.fps))
            plate = subject.layers.plate[:, rows, columns]
            foreground[part, rows, columns] = _bytes(colours)
            alpha[part, rows, columns] = _bytes(cover)[..., 0]
            frames[part, rows, columns] = _bytes(plate + cover * (colours - plate))
        return AnimatedPortrait(
            frames, curves.fps, self.adapter, seed, command, (subject.source,), foreground, alpha, curves
        )

    def prepare(self, photo: Frames) -> Subject:
        """``photo`` taken apart; the last few are kept. Raises UserError."""
        source = photo_hash(photo)
        return self._subjects.get(source, lambda: self._prepared(photo, source))

    def _prepared(self, photo: Frames, source: str) -> Subject:
        chosen = require_face(photo, self.faces)
        height_px = float(chosen.box[3] - chosen.box[1])
        if height_px < MIN_FACE_PX:
            raise UserError(
                f"a face that is to move must be at least {MIN_FACE_PX} px high: this one has "
                f"{height_px:.0f}. Give a larger photo."
            )
        (rest,), (sure,) = self.mesh.locate(photo[None], chosen)
        face = ExpressiveFace(rest)
        if sure < 0.5 or abs(face.yaw) > _MOST_TURNED:
            raise UserError(
                f"a face that is to move must look towards the camera: this one is turned by {face.yaw:.0f} "
                f"degrees (clear to {100 * sure:.0f} %). Give a photo that is more frontal."
            )
        warp = HeadWarp(face, (photo.shape[0], photo.shape[1]))
        x, y = (float(v) for v in warp.centre)
        layers = self.matte.separate(photo, centre=(x, y), face_px=warp.height)
        mouth = MouthPainter(rest[:, :2], layers.foreground, face.unit_px)
        return Subject(source, photo, face, layers, warp, mouth)


@torch.inference_mode()
def _moved(subject: Subject, curves: Curves) -> tuple[torch.Tensor, torch.Tensor]:
    """Colours (T, 3, h, w) and cover (T, 1, h, w) of the moving region."""
    spline, landmarks = subject.warp.splines(curves)
    field = subject.warp.field(spline, landmarks)
    both = subject.warp.resample(torch.cat([subject.layers.foreground, subject.layers.alpha]), field)
    corner = (subject.warp.region.left, subject.warp.region.top)
    for colours, points in zip(both[:, :3], landmarks, strict=True):
        subject.mouth.paint(colours, points, corner)
    return both[:, :3], both[:, 3:]


def _limited(curves: Curves, face: ExpressiveFace) -> Curves:
    """``curves`` within the limits of what one photo can show. A head that is turned in the photo turns less
    far to that side: the swing gets smaller, it is not cut off."""
    values = curves.values.copy()
    for channel, limit in LIMITS.items():
        column = values[:, CHANNELS.index(channel)]
        most = {1.0: limit, -1.0: limit}
        if channel == "yaw":
            # nor may the cheek come out that the photo hides
            widest = max(_LEAST_YAW, limit * (1 - abs(face.yaw) / (_MOST_TURNED + 5)))
            most = {s: float(np.clip(limit - s * face.yaw, _LEAST_YAW, widest)) for s in most}
        for sign, room in most.items():
            beyond = float((sign * column).max(initial=0))
            column[:] = np.where(sign * column > 0, column * min(1.0, room / max(beyond, 1e-9)), column)
    return Curves(values, curves.fps)


def _bytes(image: torch.Tensor) -> Frames:
    """(.., C, H, W) in 0..1 -> (.., H, W, C) uint8."""
    return np.asarray(
        (image * 255).round().clamp(0, 255).to(torch.uint8).movedim(-3, -1).contiguous().numpy()
    )


__all__ = ["AnimatedPortrait", "WarpAnimator"]
