"""Another face from a photographed one: other proportions (thin-plate splines), other skin and hair.

Proportions are factors or shifts in head units (``matte.HeadFrame``) of the facial landmarks."""

from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt
from PIL import Image

from pvchat.synthesis.matte import HeadFrame
from pvchat.synthesis.portraits import HEAD_PX, Portrait

Array = npt.NDArray[np.float64]
_GRID = 25  # the spline is evaluated on this many points a side, pixels between them are interpolated


@dataclass(frozen=True)
class Genes:
    """What makes a face another one; all zero is the face itself. Sizes and distances are shares of what they
    were, heights and lengths head units, colours shares of brightness and warmth."""

    eye_distance: float = 0.0
    eye_size: float = 0.0
    eye_tilt: float = 0.0
    brow_height: float = 0.0
    nose_length: float = 0.0
    nose_width: float = 0.0
    mouth_width: float = 0.0
    mouth_height: float = 0.0
    lip_fullness: float = 0.0
    face_width: float = 0.0
    jaw_width: float = 0.0
    chin_length: float = 0.0
    skin_light: float = 0.0
    skin_warmth: float = 0.0
    hair_light: float = 0.0
    hair_warmth: float = 0.0


_SPREAD = Genes(
    eye_distance=0.15, eye_size=0.22, eye_tilt=0.22, brow_height=0.13, nose_length=0.15, nose_width=0.3,
    mouth_width=0.22, mouth_height=0.07, lip_fullness=0.35, face_width=0.13, jaw_width=0.18, chin_length=0.18,
    skin_light=0.2, skin_warmth=0.1, hair_light=0.5, hair_warmth=0.2,
)  # fmt: skip


def sample_genes(rng: np.random.Generator, *, strength: float = 1.0) -> Genes:
    """Genes far from zero, each within its plausible spread times ``strength``."""
    values = {}
    for gene in fields(Genes):
        spread = getattr(_SPREAD, gene.name)
        values[gene.name] = float(spread * strength * rng.choice([-1, 1]) * rng.uniform(0.45, 1))
    return Genes(**values)


def reshape(portrait: Portrait, genes: Genes, *, person: str) -> Portrait:
    """``portrait`` as another ``person`` with the same movements. Rights stay."""
    heads, landmarks = [], []
    for head, marks in zip(portrait.heads, portrait.landmarks, strict=True):
        frame = HeadFrame(marks)
        source = _control_points(frame.to_head(marks))
        target = _move(source, genes)
        heads.append(_recolour(_warp(head, frame, target, source), frame, genes))
        landmarks.append(frame.to_pixels(target[:5]))
    return replace(
        portrait,
        person=person,
        source_id=f"{portrait.source_id}:{person}",
        heads=np.stack(heads),
        landmarks=np.stack(landmarks).astype(np.float32),
        origin="warp",
    )


def blend(portrait: Portrait, other: Portrait, share: float) -> Portrait:
    """``portrait`` with ``share`` of the eyes and nose of ``other`` in its own skin tone; hair, outline and
    mouth, hence the speech, stay."""
    donor, donor_frame = other.heads[0], HeadFrame(other.landmarks[0])
    from_points = donor_frame.to_head(other.landmarks[0])
    heads = []
    for head, marks in zip(portrait.heads, portrait.landmarks, strict=True):
        frame = HeadFrame(marks)
        to_points = frame.to_head(marks)
        moved = _warp(donor, frame, _control_points(to_points), _control_points(from_points), donor_frame)
        grid = frame.grid(HEAD_PX)
        radius = np.hypot(grid[..., 0] / 1.0, (grid[..., 1] - 0.1) / 0.85)
        weight = np.clip((1 - radius) * 3, 0, 1) * (moved[..., 3] / 255.0) * share
        face = (radius < 0.9) & (moved[..., 3] > 200)
        mixed = head.copy()
        if face.any():
            a, b = head[..., :3].astype(float), moved[..., :3].astype(float)
            b = (b - b[face].mean(0)) * (a[face].std(0) / (b[face].std(0) + 1)).clip(0.6, 1.6) + a[face].mean(
                0
            )
            mixed[..., :3] = np.clip(a + (b - a) * weight[..., None], 0, 255).astype(np.uint8)
        heads.append(mixed)
    return replace(portrait, heads=np.stack(heads), origin="warp")


def _control_points(marks: Array) -> Array:
    """The five landmarks, then points around them: eyes, brows, nose, lips, outline of the face, far off."""
    left, right, nose, mouth_left, mouth_right = marks
    mouth = (mouth_left + mouth_right) / 2
    eyes = [eye + step for eye in (left, right) for step in ([-0.27, 0], [0.27, 0], [0, -0.13], [0, 0.13])]
    brows = [eye + step for eye in (left, right) for step in ([-0.3, -0.4], [0, -0.46], [0.3, -0.4])]
    sides = [*(nose + np.array([[-0.3, 0.06], [0.3, 0.06]])), [nose[0] * 0.3, 0.0]]
    lips = mouth + np.array([[0, -0.17], [0, 0.2]])
    jaw = [[-1.1, 0.1], [1.1, 0.1], [-1.05, 0.85], [1.05, 0.85], [-0.72, 1.4], [0.72, 1.4], [0, 1.75]]
    crown = [[-1.05, -0.8], [1.05, -0.8], [0, -1.0], [-0.9, -1.5], [0.9, -1.5], [0, -1.9]]
    far = [[x, y] for x in (-2.4, 0, 2.4) for y in (-2.4, 0, 2.4) if (x, y) != (0, 0)]
    return np.array([*marks, *eyes, *brows, *sides, *lips, *jaw, *crown, *far], float)


def _move(points: Array, genes: Genes) -> Array:
    """Control points of the reshaped face, in the order of ``_control_points``."""
    p = points.copy()
    nose, mouth = points[2], (points[3] + points[4]) / 2
    for eye, around, brow in ((0, slice(5, 9), slice(13, 16)), (1, slice(9, 13), slice(16, 19))):
        shift = np.array([points[eye, 0] * genes.eye_distance, 0])
        offsets = points[around] - points[eye]
        slant = np.stack([0 * offsets[:, 0], -np.sign(points[eye, 0]) * genes.eye_tilt * offsets[:, 0]], -1)
        p[eye] += shift
        p[around] = p[eye] + offsets * (1 + genes.eye_size) + slant
        p[brow] += shift - [0, genes.brow_height]
    p[2] += [0, genes.nose_length * nose[1]]
    p[19:21] = p[2] + (points[19:21] - nose) * [1 + genes.nose_width, 1]
    lift = np.array([0, genes.mouth_height + 0.6 * genes.nose_length * nose[1]])  # a long nose needs room
    p[3:5] = mouth + (points[3:5] - mouth) * [1 + genes.mouth_width, 1] + lift
    p[22:24] = mouth + (points[22:24] - mouth) * (1 + genes.lip_fullness) + lift
    p[24:26, 0] *= 1 + genes.face_width
    p[26:28, 0] *= 1 + 0.6 * genes.face_width + 0.5 * genes.jaw_width
    p[28:30, 0] *= 1 + 0.3 * genes.face_width + genes.jaw_width
    p[28:30, 1] += 0.6 * genes.chin_length
    p[30, 1] += genes.chin_length
    p[31:33, 0] *= 1 + 0.8 * genes.face_width
    p[34:36, 0] *= 1 + 0.6 * genes.face_width
    return p


def _warp(
    head: npt.NDArray[np.uint8],
    frame: HeadFrame,
    target: Array,
    source: Array,
    source_frame: HeadFrame | None = None,
) -> npt.NDArray[np.uint8]:
    """Resample so that what was at ``source`` comes to ``target`` (head units of their frames)."""
    ticks = np.linspace(0, HEAD_PX, _GRID).round().astype(int)
    x, y = np.meshgrid(ticks, ticks)
    grid = frame.to_head(np.stack([x, y], -1).reshape(-1, 2).astype(float))
    from_head = grid + _spline(target, source - target, grid)
    from_pixels = (source_frame or frame).to_pixels(from_head).reshape(_GRID, _GRID, 2)
    mesh = []
    for r in range(_GRID - 1):
        for c in range(_GRID - 1):
            box = (int(ticks[c]), int(ticks[r]), int(ticks[c + 1]), int(ticks[r + 1]))
            around = ((r, c), (r + 1, c), (r + 1, c + 1), (r, c + 1))
            mesh.append((box, tuple(float(v) for p in around for v in from_pixels[p])))
    return np.asarray(
        Image.fromarray(head).transform(
            (HEAD_PX, HEAD_PX), Image.Transform.MESH, mesh, Image.Resampling.BICUBIC
        )
    )


def _spline(points: Array, values: Array, at: Array) -> Array:
    """Thin-plate spline through ``values`` (N, 2) at ``points`` (N, 2), evaluated ``at`` (M, 2)."""

    def kernel(a: Array, b: Array) -> Array:
        r2 = ((a[:, None] - b[None]) ** 2).sum(-1)
        return np.asarray(0.5 * r2 * np.log(r2 + 1e-12))

    n = len(points)
    plane = np.c_[np.ones(n), points]
    system = np.block([[kernel(points, points) + 1e-3 * np.eye(n), plane], [plane.T, np.zeros((3, 3))]])
    weights = np.linalg.solve(system, np.r_[values, np.zeros((3, 2))])
    return np.asarray(kernel(at, points) @ weights[:n] + np.c_[np.ones(len(at)), at] @ weights[n:])


def _recolour(head: npt.NDArray[np.uint8], frame: HeadFrame, genes: Genes) -> npt.NDArray[np.uint8]:
    """Other skin and hair. Hair is what lies around the face and is unlike its skin."""
    grid = frame.grid(HEAD_PX)
    rgb = head[..., :3].astype(float)
    radius = np.hypot(grid[..., 0] / 1.02, (grid[..., 1] - 0.35) / 1.25)
    cheeks = (np.abs(grid[..., 1] - 0.55) < 0.3) & (np.abs(grid[..., 0]) < 0.7)
    skin = np.median(rgb[cheeks], axis=0)
    unlike = np.abs(rgb / (rgb.sum(-1, keepdims=True) + 1) - skin / (skin.sum() + 1)).sum(-1) * 6
    unlike += np.abs(rgb.mean(-1) - skin.mean()) / 80
    hair = np.clip((radius - 0.95) * 5, 0, 1) * np.clip(unlike * 1.6 - 0.5, 0, 1) * (grid[..., 1] < 1.0)
    small = Image.fromarray((hair * 255).astype(np.uint8)).reduce(4)  # soft borders
    hair = np.asarray(small.resize((HEAD_PX, HEAD_PX), Image.Resampling.BICUBIC))[..., None] / 255.0
    toned = rgb * (1 + min(genes.skin_light, 0.06)) * [1 + genes.skin_warmth, 1, 1 - genes.skin_warmth]
    combed = rgb * (1 + genes.hair_light) * [1 + genes.hair_warmth, 1, 1 - genes.hair_warmth]
    mixed = toned * (1 - hair) + combed * hair
    return np.dstack([np.clip(mixed, 0, 255).astype(np.uint8), head[..., 3]])
