"""468 landmarks of a face in three dimensions, and how far a head has turned.

Axes are x right, y down, z away from the camera. Degrees: ``pitch`` > 0 looks down, ``yaw`` > 0 turns to
the right of the picture, ``roll`` > 0 leans to the right of the picture."""

from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from pvchat.assets import asset
from pvchat.faces import Face
from pvchat.synthesis.animation.graph_network import GraphNetwork

Array = npt.NDArray[np.float64]
Frames = npt.NDArray[np.uint8]

NUM_LANDMARKS = 468
EYE_CORNERS = (33, 263)  # outer, left to right in the picture
FOREHEAD, CHIN = 10, 152
_INPUT_PX = 192
_MARGIN = 1.5  # side of the crop over that of the face
_RIGID: tuple[int, ...] = (10, 67, 297, 109, 338, 54, 284, 21, 251, 162, 389, 127, 356)
_RIGID += (6, 197, 195, 5, 4, 1, 168, 33, 263, 133, 362)
"""Forehead, temples, nose and eye corners: what no expression moves."""


class FaceMesh:
    """Finds the landmarks of a face whose place is roughly known; the net is loaded on first use."""

    def __init__(self, *, refinements: int = 2) -> None:
        self.refinements = refinements

    def locate(self, frames: Frames, face: Face) -> tuple[Array, Array]:
        """Landmarks (T, 468, 3) in pixels of ``frames`` (T, H, W, 3), in all of which the face is near
        ``face``, and how sure it is that they are on a face (T,), 0 to 1."""
        x0, y0, x1, y1 = (float(v) for v in face.box)
        centre = np.array([[(x0 + x1) / 2, (y0 + y1) / 2]])
        across = np.asarray(face.landmarks[1] - face.landmarks[0], float)[None]
        side = np.array([max(x1 - x0, y1 - y0) * _MARGIN])
        found = [self._locate(frame, centre, side, across) for frame in frames]
        return np.stack([mesh for mesh, _ in found]), np.array([sure for _, sure in found])

    @cached_property
    def _network(self) -> GraphNetwork:
        return GraphNetwork(asset("face-mesh"), "face_landmark")

    def _locate(self, frame: Frames, centre: Array, side: Array, across: Array) -> tuple[Array, float]:
        for _ in range(1 + self.refinements):
            to_frame = _to_frame(centre[0], float(side[0]), across[0])
            mesh, sure = self._network(_crop(frame, to_frame))
            points = mesh.reshape(NUM_LANDMARKS, 3).numpy().astype(float)
            located = np.c_[
                points[:, :2] @ to_frame[:, :2].T + to_frame[:, 2], points[:, 2] * side[0] / _INPUT_PX
            ]
            low, high = located[:, :2].min(0), located[:, :2].max(0)
            centre, side = (low + high)[None] / 2, np.array([(high - low).max() * _MARGIN])
            across = (located[EYE_CORNERS[1], :2] - located[EYE_CORNERS[0], :2])[None]
        return located, float(sure.sigmoid())


def head_axes(mesh: Array) -> Array:
    """Columns (3, 3) are right, down and backwards of the head of ``mesh`` (468, 3)."""
    right = _unit(mesh[EYE_CORNERS[1]] - mesh[EYE_CORNERS[0]])
    down = mesh[CHIN] - mesh[FOREHEAD]
    down = _unit(down - right * (down @ right))
    return np.stack([right, down, np.cross(right, down)], 1)


def rotation(pitch: Array, yaw: Array, roll: Array) -> Array:
    """Matrices (T, 3, 3) of angles (T,) in degrees: yaw first, then pitch, then roll."""
    (cp, sp), (cy, sy), (cr, sr) = ((np.cos(a), np.sin(a)) for a in np.radians([pitch, yaw, roll]))
    zero, one = np.zeros_like(cp), np.ones_like(cp)
    about_x = np.stack([one, zero, zero, zero, cp, -sp, zero, sp, cp], -1).reshape(-1, 3, 3)
    about_y = np.stack([cy, zero, -sy, zero, one, zero, sy, zero, cy], -1).reshape(-1, 3, 3)
    about_z = np.stack([cr, -sr, zero, sr, cr, zero, zero, zero, one], -1).reshape(-1, 3, 3)
    return np.asarray(about_z @ about_x @ about_y)


def turned(meshes: Array, rest: Array) -> Array:
    """Pitch, yaw and roll (T, 3) in degrees by which the head of ``meshes`` (T, 468, 3) has turned from
    ``rest`` (468, 3): the rotation that fits the points no expression moves (Kabsch)."""
    axes, kept = head_axes(rest), list(_RIGID)
    before = (rest[kept] - rest[kept].mean(0)) @ axes
    angles = []
    for mesh in meshes:
        after = (mesh[kept] - mesh[kept].mean(0)) @ axes
        u, _, vt = np.linalg.svd(before.T @ after)
        r = vt.T @ np.diag([1, 1, np.sign(np.linalg.det(vt.T @ u.T))]) @ u.T
        angles.append(
            [np.arcsin(np.clip(r[2, 1], -1, 1)), np.arctan2(r[2, 0], r[2, 2]), np.arctan2(-r[0, 1], r[1, 1])]
        )
    return np.degrees(angles)


def _unit(vector: Array) -> Array:
    return np.asarray(vector / np.linalg.norm(vector))


def _to_frame(centre: Array, side: float, across: Array) -> Array:
    """Affine map (2, 3) from the pixels of an upright crop to those of the frame."""
    x, y = across / np.hypot(*across)
    turn = np.array([[x, -y], [y, x]]) * side / _INPUT_PX
    return np.asarray(np.c_[turn, centre - turn @ [_INPUT_PX / 2, _INPUT_PX / 2]])


def _crop(frame: Frames, to_frame: Array) -> Tensor:
    """(1, 3, 192, 192) in 0..1, cut out of ``frame``; black beyond it."""
    corners = to_frame @ np.array([[0, 192, 192, 0], [0, 0, 192, 192], [1, 1, 1, 1]])
    low = np.maximum(np.floor(corners.min(1)).astype(int) - 2, 0)
    patch = torch.from_numpy(
        np.array(frame[low[1] : int(corners[1].max()) + 3, low[0] : int(corners[0].max()) + 3])
    )
    images = patch.permute(2, 0, 1)[None].float() / 255
    shrink = max(1, int(np.hypot(*to_frame[:, 0])))  # a large face is averaged first
    images = F.avg_pool2d(images, shrink, ceil_mode=True)
    y, x = np.mgrid[0:_INPUT_PX, 0:_INPUT_PX]
    at = np.stack([x, y], -1) @ to_frame[:, :2].T + to_frame[:, 2] - low
    size = np.array([images.shape[3], images.shape[2]]) * shrink
    grid = torch.from_numpy((2 * at + 1) / size - 1)[None].float()
    return F.grid_sample(images, grid, align_corners=False)
