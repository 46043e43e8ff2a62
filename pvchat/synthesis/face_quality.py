"""How good the face of a frame is as a reference: eyes, mouth, pose, sharpness, visibility, size."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.ndimage import laplace, maximum_filter, minimum_filter

from pvchat.faces import Face, FaceAnalyzer
from pvchat.synthesis.animation.animator import MIN_FACE_PX
from pvchat.synthesis.animation.expressions import LIDS, MOUTH_CORNERS
from pvchat.synthesis.animation.face_mesh import FaceMesh, head_axes

Array = npt.NDArray[np.float64]
Frames = npt.NDArray[np.uint8]

EYES_OPEN = 0.18
"""Least eye-aspect ratio. This mesh opens closed eyes: of 11 people closed ones measure .14-.22, open ones
.20-.37. The usual .25 would refuse people, hence also ``OF_USUAL``."""
OF_USUAL = 0.78
"""Share of a person's own usual ratio that closed eyes stay below."""
MOST_DEGREES = {"yaw": 35.0, "pitch": 25.0, "roll": 35.0}
"""As the mesh sees them: of large yaws it sees too little (57 degrees in a profile)."""
LEAST_SHARP, LEAST_VISIBLE, LEAST_SURE = 0.1, 0.8, 0.5
_LEVEL = 5.5  # degrees of pitch of the axes of the mesh when people look straight ahead (11 clips, median)
_SHARP_PX = 112
_SHARP = 0.2  # variance of the Laplacian over that of the face that is as sharp as it gets
_COVERED = 0.5
"""Eyes darker than this share of the cheeks are behind dark glass: of 126 real faces one measures less, in
deep shade (the others .59 and more); drawn dark glasses do unless they are as bright as the skin."""
MOST_FLAT = 0.38
"""Drawings are flat in more of the face than this: of 105 real faces at most .28, of 27 drawn ones at least
.47 (both without the stretch, which real faces are flatter without)."""
_FLAT_PX, _FLAT_STEP, _CONTRAST = 64, 4, 50
_CHEEKS = (50, 280)
_LIPS = (13, 14)


@dataclass(frozen=True)
class FaceQuality:
    """``eyes`` is the eye-aspect ratio of the eye that is less open, ``mouth`` the gap between the lips over
    the width of the mouth. ``pitch`` (> 0 looks down), ``yaw`` and ``roll`` (> 0 to the right of the picture)
    are degrees from looking into the camera. ``sharpness`` is 0..1, ``visible`` the share of the landmarks
    in the frame, ``sure`` how sure the mesh is of a face. ``covered`` says that both eyes are dark, as behind
    sunglasses; they may also lie in deep shade. ``flat`` is the share of the face without any shading."""

    eyes: float
    mouth: float
    pitch: float
    yaw: float
    roll: float
    sharpness: float
    visible: float
    sure: float
    size_px: float
    covered: bool
    flat: float = 0.0

    @property
    def score(self) -> float:
        """0..1: frontal 40 %, sharp 25 %, eyes open 10 %, mouth closed (an animator can open it, hardly close
        it) 10 %, large 10 %, all of it visible 5 %."""
        frontal = 1 - np.hypot(np.hypot(self.yaw, self.pitch), self.roll / 2) / 60
        return float(
            0.4 * max(0.0, frontal)
            + 0.25 * self.sharpness
            + 0.1 * min(1.0, self.eyes / 0.3)
            + 0.1 * max(0.0, 1 - self.mouth / 0.4)
            + 0.1 * min(1.0, self.size_px / 256)
            + 0.05 * self.visible * self.sure
        )

    @property
    def unusable(self) -> tuple[str, ...]:
        """Why nothing can be made of it."""
        out = []
        if self.size_px < MIN_FACE_PX:
            out.append(f"too small ({self.size_px:.0f} px high, at least {MIN_FACE_PX})")
        if self.sure < LEAST_SURE:
            out.append(f"not clearly a face ({self.sure:.0%} sure, at least {LEAST_SURE:.0%})")
        if self.flat > MOST_FLAT:
            out.append(f"drawn, not filmed ({self.flat:.0%} without shading, at most {MOST_FLAT:.0%})")
        if self.visible < LEAST_VISIBLE:
            out.append(f"cut off ({self.visible:.0%} of the face in the frame, at least {LEAST_VISIBLE:.0%})")
        return tuple(out)

    def faults(self, eyes_open: float = EYES_OPEN) -> tuple[str, ...]:
        """Why a better one is wanted: short phrases, none for a good face."""
        out = []
        if self.eyes < eyes_open:
            out.append(f"eyes closed (aspect {self.eyes:.2f}, at least {eyes_open:.2f})")
        for axis, word in (("yaw", "turned away"), ("pitch", "looks up or down"), ("roll", "leans")):
            degrees = abs(getattr(self, axis))
            if degrees > MOST_DEGREES[axis]:
                most = MOST_DEGREES[axis]
                out.append(f"{word} ({axis} {degrees:.0f} degrees, at most {most:.0f})")
        if self.sharpness < LEAST_SHARP:
            out.append(f"blurred (sharpness {self.sharpness:.2f}, at least {LEAST_SHARP:.2f})")
        return tuple(out)


def measure(frame: Frames, face: Face, *, mesh: FaceMesh, faces: FaceAnalyzer) -> FaceQuality:
    """Quality of ``face`` in ``frame`` (H, W, 3)."""
    (points,), (sure,) = mesh.locate(frame[None], face)
    pitch, yaw, roll = head_pose(points)
    left, right = points[list(MOUTH_CORNERS)]
    inside = ((points[:, :2] >= 0) & (points[:, :2] < [frame.shape[1], frame.shape[0]])).all(1)
    return FaceQuality(
        eyes=min(eye_aspects(points)),
        mouth=float(np.linalg.norm(points[_LIPS[1]] - points[_LIPS[0]]) / np.linalg.norm(right - left)),
        pitch=pitch,
        yaw=yaw,
        roll=roll,
        sharpness=sharpness(faces.crop(frame, face, _SHARP_PX, margin=0.0)),
        visible=float(inside.mean()),
        sure=float(sure),
        size_px=float(face.box[3] - face.box[1]),
        covered=max(_shades(frame, points)) < _COVERED,
        flat=flatness(faces.crop(frame, face, _FLAT_PX, margin=0.0)),
    )


def eye_aspects(mesh: Array) -> tuple[float, float]:
    """Height over width of the left and right eye of ``mesh`` (468, 3), as they are in the picture (Soukupova
    and Cech, 2016, with the lids' points in the middle)."""
    ratios = []
    for pairs, (outer, inner) in LIDS:
        middle = (pairs[2], pairs[4])
        height = np.mean([np.linalg.norm(mesh[upper] - mesh[lower]) for upper, lower in middle])
        ratios.append(float(height / np.linalg.norm(mesh[outer] - mesh[inner])))
    return ratios[0], ratios[1]


def head_pose(mesh: Array) -> tuple[float, float, float]:
    """Pitch, yaw and roll of the head of ``mesh`` (468, 3) in degrees; signs as in ``face_mesh``."""
    r = head_axes(mesh)
    pitch, yaw = np.arcsin(np.clip(r[2, 1], -1, 1)), np.arctan2(r[2, 0], r[2, 2])
    pitch, yaw, roll = np.degrees([pitch, yaw, np.arctan2(-r[0, 1], r[1, 1])])
    return float(pitch - _LEVEL), float(yaw), float(roll)


def sharpness(crop: Frames) -> float:
    """0..1: variance of the Laplacian of ``crop`` (S, S, 3) over that of its brightness, so that a dark face
    is not called blurred."""
    grey = np.asarray(Image.fromarray(crop).convert("L"), float)
    return float(min(1.0, laplace(grey).var() / max(1.0, grey.var()) / _SHARP))


def flatness(crop: Frames) -> float:
    """Share of the places of ``crop`` (64, 64, 3) around which nothing is brighter or darker (3 x 3 pixels);
    a picture of little contrast is stretched first, so that a dark face is not called drawn."""
    grey = np.asarray(Image.fromarray(crop).convert("L"), float)
    grey *= max(1.0, _CONTRAST / max(1.0, grey.std()))
    return float((maximum_filter(grey, 3) - minimum_filter(grey, 3) <= _FLAT_STEP).mean())


def _shades(frame: Frames, mesh: Array) -> list[float]:
    """How bright each eye and what is around it is beside the cheek below; skin and the white of the eye are
    brighter than any dark glass."""
    shades = []
    for (_, (outer, inner)), cheek in zip(LIDS, _CHEEKS, strict=True):
        width = float(np.linalg.norm(mesh[outer, :2] - mesh[inner, :2]))
        eye = np.quantile(_disc(frame, (mesh[outer] + mesh[inner]) / 2, 0.55 * width), 0.8)
        shades.append(float((eye + 1) / (np.median(_disc(frame, mesh[cheek], 0.4 * width)) + 1)))
    return shades


def _disc(frame: Frames, centre: Array, radius: float) -> Array:
    """Brightness of the pixels of a disc; 255 where it lies outside the frame."""
    x, y = centre[:2].round().astype(int)
    reach = max(1, int(radius))
    patch = frame[max(0, y - reach) : max(0, y + reach + 1), max(0, x - reach) : max(0, x + reach + 1)]
    if not patch.size:
        return np.full(1, 255.0)
    rows, columns = np.mgrid[: patch.shape[0], : patch.shape[1]]
    inside = np.hypot(rows + max(0, y - reach) - y, columns + max(0, x - reach) - x) <= reach
    return np.asarray(patch[inside].mean(-1) if inside.any() else patch.mean(-1).ravel(), float)
