"""Portrait + clothes + place + motion + light -> a clip whose content is known exactly."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from PIL import Image

from pvchat.synthesis.backgrounds import background
from pvchat.synthesis.light import Light, exposed, tone
from pvchat.synthesis.matte import HeadFrame
from pvchat.synthesis.motions import Pose, poses
from pvchat.synthesis.portraits import HEAD_PX, UNIT_PX, Portrait
from pvchat.synthesis.wardrobe import Clothes, Opening, Pen, hood, torso

Pixels = npt.NDArray[np.uint8]
Matrix = npt.NDArray[np.float64]
_NECK = 1.9  # head units from the eyes to the point about which a head tilts
_WAIST = 7.0  # and the body sways
_RADIUS = (1.5, 2.0)  # of a head, for turning it
_DOME = 0.62  # depth of a head over its radius, for turning it
_CANVAS = 1.35  # drawings are larger than the frame, so that no edge shows when they move
_EYES = 0.35  # height of the eyes on such a drawing


@dataclass(frozen=True)
class Scene:
    """Everything of a clip but the head. ``seed`` fixes light, size, position, flip and strength of motion.

    ``detail``, ``grey``, ``opening`` and ``freeze`` are treatments of the head that portraits which are
    compared with each other must share (see ``match``)."""

    background: str
    clothes: Clothes
    motion: str
    seed: int
    detail: float = UNIT_PX
    grey: bool = False
    opening: Opening | None = None
    freeze: bool = False


def match(scene: Scene, portraits: Sequence[Portrait], *, grayscale: bool | None = None) -> Scene:
    """Treat the heads of all ``portraits`` alike in ``scene``: as unsharp as the least sharp one, grey if one
    is grey (or as ``grayscale`` says), in a hood if one is cut off by the edge of its photo, moving only
    if all move. Otherwise sharpness or colour would tell who is who."""
    opening = None
    if any(p.tight for p in portraits):
        opening = Opening()
        for portrait in portraits:
            opening = opening.within(opening_of(portrait))
    return replace(
        scene,
        clothes=scene.clothes if opening is None else Clothes(scene.clothes.colour, "hoodie"),
        detail=min(UNIT_PX, *(p.detail for p in portraits)),
        grey=any(p.grey for p in portraits) if grayscale is None else grayscale,
        opening=opening,
        freeze=not all(p.moves for p in portraits),
    )


def compose(portrait: Portrait, scene: Scene, *, num_frames: int = 10, size_px: int = 224) -> Pixels:
    """Frames (num_frames, size_px, size_px, 3) uint8 of ``portrait`` in ``scene``."""
    rng = np.random.default_rng([scene.seed, 1])
    unit = size_px * rng.uniform(0.125, 0.15)
    origin = (size_px * rng.uniform(0.42, 0.58), size_px * rng.uniform(0.34, 0.4))
    flip = rng.random() < 0.5
    amplitude = rng.uniform(0.85, 1.15) * rng.choice([-1, 1])
    plate = background(scene.background, seed=scene.seed, size_px=size_px)
    light = Light(rng, plate)
    noise = rng.normal(0, 1.6, plate.shape).astype(np.float32)
    order = _order(len(portrait.heads), int(rng.integers(1 << 16)), num_frames, scene.freeze)
    heads = {i: _treat(portrait.heads[i], scene, portrait) for i in sorted(set(order))}
    skin = _skin(heads[order[0]], portrait.landmarks[order[0]])
    lit = {i: light.on(head[:, ::-1] if flip else head) for i, head in heads.items()}
    body, *hoods = [light.on(layer) for layer in _draw(scene, skin, size_px, unit)]
    frames = []
    for i, pose in zip(order, poses(scene.motion, num_frames=num_frames, amplitude=amplitude), strict=True):
        to_frame = _BodyMaps(origin, unit, pose)
        frame = Image.fromarray(plate).convert("RGBA")
        frame.alpha_composite(_place_drawing(body, to_frame.body, size_px, unit))
        if hoods:
            frame.alpha_composite(_place_drawing(hoods[0], to_frame.head, size_px, unit))
        frame.alpha_composite(_place_head(lit[i], to_frame.head, pose, size_px))
        if hoods:
            frame.alpha_composite(_place_drawing(hoods[1], to_frame.head, size_px, unit))
        frames.append(light.finish(np.asarray(frame)[..., :3], noise))
    return np.stack(frames)


class _BodyMaps:
    """Affine maps (3, 3) from head units to pixels: of the body, and of the head on it."""

    def __init__(self, origin: tuple[float, float], unit: float, pose: Pose) -> None:
        scale = unit * pose.scale
        to_pixels = np.array([[scale, 0, origin[0]], [0, scale, origin[1]], [0, 0, 1]])
        shift = np.array([[1, 0, pose.x], [0, 1, pose.y], [0, 0, 1]])
        self.body: Matrix = to_pixels @ _turn_about(pose.sway, _WAIST)
        self.head: Matrix = self.body @ shift @ _turn_about(pose.tilt, _NECK)


def _order(count: int, start: int, num_frames: int, freeze: bool) -> list[int]:
    """Which head is shown in each frame: forth and back through the portrait."""
    if count == 1 or freeze:
        return [start % count] * num_frames
    circle = [*range(count), *range(count - 2, 0, -1)]
    return [circle[(start + t) % len(circle)] for t in range(num_frames)]


def _treat(head: Pixels, scene: Scene, portrait: Portrait) -> Pixels:
    """The head as sharp, bright and colourful as the scene asks for."""
    head = head.copy()
    if scene.detail < min(portrait.detail, UNIT_PX):  # as unsharp as a photo of that size, enlarged
        size = round(HEAD_PX * scene.detail / UNIT_PX)
        small = Image.fromarray(head[..., :3]).resize((size, size), Image.Resampling.BOX)
        head[..., :3] = np.asarray(small.resize((HEAD_PX, HEAD_PX), Image.Resampling.BICUBIC))
    if scene.grey:
        head[..., :3] = tone(head[..., :3])
    head[..., :3] = exposed(head[..., :3], float(np.mean(_skin(head, portrait.landmarks[0]))))
    return head


def _skin(head: Pixels, landmarks: npt.NDArray[np.float32]) -> tuple[int, int, int]:
    """Typical colour of the cheeks."""
    grid = HeadFrame(landmarks).grid(HEAD_PX)
    cheeks = (np.abs(grid[..., 1] - 0.55) < 0.3) & (np.abs(grid[..., 0]) < 0.75) & (head[..., 3] > 200)
    if not cheeks.any():
        return (190, 150, 130)
    r, g, b = (int(v) for v in np.median(head[cheeks][:, :3], axis=0))
    return r, g, b


def _draw(scene: Scene, skin: tuple[int, int, int], size_px: int, unit: float) -> list[Pixels]:
    """The torso; in a hooded scene also the hood's back and front."""
    size = round(size_px * _CANVAS)
    body = Pen(size, (size / 2, size * _EYES), unit)
    torso(body, scene.clothes, skin)
    if scene.opening is None:
        return [body.pixels()]
    back, front = body.like(), body.like()
    hood(back, front, scene.clothes, scene.opening)
    return [body.pixels(), back.pixels(), front.pixels()]


def _place_drawing(layer: Image.Image, to_pixels: Matrix, size_px: int, unit: float) -> Image.Image:
    size = layer.width
    to_units = np.array([[1 / unit, 0, -size / 2 / unit], [0, 1 / unit, -size * _EYES / unit], [0, 0, 1]])
    inverse = np.linalg.inv(to_pixels @ to_units)
    return layer.transform(
        (size_px, size_px), Image.Transform.AFFINE, tuple(inverse[:2].ravel()), Image.Resampling.BILINEAR
    )


def _place_head(head: Image.Image, to_pixels: Matrix, pose: Pose, size_px: int) -> Image.Image:
    """Resample the head once: into place, and turned as if it were a flat dome."""
    reach = HEAD_PX / 2 / UNIT_PX
    corners = to_pixels @ [[-reach, reach, reach, -reach], [-reach, -reach, reach, reach], [1, 1, 1, 1]]
    left, top = np.floor(corners[:2].min(1)).astype(int).tolist()
    right, bottom = np.ceil(corners[:2].max(1)).astype(int).tolist()
    columns, rows = (np.linspace(a, b, 15).round().astype(int) for a, b in ((left, right), (top, bottom)))
    x, y = np.meshgrid(columns, rows)
    inverse = np.linalg.inv(to_pixels)
    u, v, _ = np.tensordot(inverse, np.stack([x, y, np.ones_like(x)]), 1)
    depth = _DOME * _RADIUS[0] * np.clip(1 - (u / _RADIUS[0]) ** 2 - (v / _RADIUS[1]) ** 2, 0, None)
    u = (u * np.cos(pose.yaw) - depth * np.sin(pose.yaw)) * UNIT_PX + HEAD_PX / 2
    v = (v * np.cos(pose.pitch) - depth * np.sin(pose.pitch)) * UNIT_PX + HEAD_PX / 2
    mesh = []
    for r in range(len(rows) - 1):
        for c in range(len(columns) - 1):
            box = (columns[c] - left, rows[r] - top, columns[c + 1] - left, rows[r + 1] - top)
            around = ((r, c), (r + 1, c), (r + 1, c + 1), (r, c + 1))
            mesh.append((tuple(map(int, box)), tuple(float(k[p]) for p in around for k in (u, v))))
    patch = head.transform((right - left, bottom - top), Image.Transform.MESH, mesh, Image.Resampling.BICUBIC)
    placed = Image.new("RGBA", (size_px, size_px))
    placed.paste(patch, (left, top))
    return placed


def _turn_about(angle: float, y: float) -> Matrix:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, s * y], [s, c, y - c * y], [0, 0, 1]])


def opening_of(portrait: Portrait) -> Opening:
    """How far a hood must close to hide where the photo of a tight head ends."""
    limits = Opening()
    for head, landmarks in zip(portrait.heads, portrait.landmarks, strict=True):
        grid = HeadFrame(landmarks).grid(HEAD_PX)
        x, y, missing = np.abs(grid[..., 0]), grid[..., 1], head[..., 3] < 128
        above, below = y[missing & (x < 0.45) & (y < 0)], y[missing & (x < 0.45) & (y > 0.6)]
        aside = x[missing & (np.abs(y - 0.4) < 0.6)]
        limits = limits.within(
            Opening(
                top=min(float(above.max(initial=-9)) + 0.1, -0.5),
                bottom=max(float(below.min(initial=9)) - 0.06, 1.4),
                half_width=max(float(aside.min(initial=9)) - 0.05, 0.85),
            )
        )
    return limits
