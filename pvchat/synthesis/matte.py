"""Where a head ends, without a learned matte: a prior shape, colours in against out, a random walk."""

import numpy as np
import numpy.typing as npt
from PIL import Image
from skimage.color import rgb2lab
from skimage.filters import gaussian
from skimage.measure import label
from skimage.morphology import disk, opening
from skimage.segmentation import random_walker

Array = npt.NDArray[np.float64]
_WORK_PX = 96  # the walk runs at this size
_BINS = 16


class HeadFrame:
    """Coordinates of an upright head: origin between the eyes, y to the chin, unit = eyes to mouth.

    ``landmarks`` (5, 2) are the eyes, the nose and the mouth corners in pixels; ``turn`` is how far the nose
    stands to a side (0 = frontal)."""

    def __init__(self, landmarks: npt.NDArray[np.floating]) -> None:
        eyes, mouth = landmarks[:2].mean(0), landmarks[3:].mean(0)
        across = landmarks[1] - landmarks[0]
        self.origin = eyes
        self.unit = max(float(np.linalg.norm(mouth - eyes)), 1e-3)
        self.roll = float(np.arctan2(across[1], across[0]))
        self.axes = np.array(
            [[np.cos(self.roll), np.sin(self.roll)], [-np.sin(self.roll), np.cos(self.roll)]]
        )
        self.turn = float((self.axes @ (landmarks[2] - (eyes + mouth) / 2))[0] / self.unit)

    def to_head(self, points: npt.NDArray[np.floating]) -> Array:
        """Pixels (..., 2) -> head coordinates (..., 2)."""
        return np.asarray((points - self.origin) @ self.axes.T / self.unit, float)

    def to_pixels(self, points: npt.NDArray[np.floating]) -> Array:
        """Head coordinates (..., 2) -> pixels (..., 2)."""
        return np.asarray(points @ self.axes * self.unit + self.origin, float)

    def grid(self, size: int, step: int = 1) -> Array:
        """Head coordinates of the pixels of a square image, every ``step``-th: (size/step, size/step, 2)."""
        y, x = np.mgrid[0:size:step, 0:size:step] + (step - 1) / 2
        return self.to_head(np.stack([x, y], -1))


def _radius(
    grid: Array, x: float, y: float, half_width: float, half_height: float, taper: float = 0.0
) -> Array:
    """Radius in units of an ellipse (1 on its edge), which ``taper`` makes narrower from the ears down."""
    width = half_width - taper * np.clip(grid[..., 1] + 0.2, 0, 1)
    return np.asarray(np.hypot((grid[..., 0] - x) / width, (grid[..., 1] - y) / half_height), float)


def head_coverage(landmarks: npt.NDArray[np.floating], valid: npt.NDArray[np.bool_]) -> float:
    """Share of a usual head that lies inside the photo (``valid``, square)."""
    inside = _radius(HeadFrame(landmarks).grid(len(valid)), 0, -0.12, 1.2, 1.6) < 1
    return float(valid[inside].mean())


def head_matte(
    image: npt.NDArray[np.uint8], landmarks: npt.NDArray[np.floating], valid: npt.NDArray[np.bool_]
) -> npt.NDArray[np.uint8]:
    """Opacity (S, S) uint8 of the head in a square ``image`` (S, S, 3); ``valid`` are pixels of the photo."""
    size = len(image)
    step = max(1, size // _WORK_PX)
    head = HeadFrame(landmarks)
    x = -0.25 * head.turn  # a turned head reaches further behind its face
    grid = head.grid(size, step)
    work = (grid.shape[1], grid.shape[0])
    small = np.asarray(Image.fromarray(image).resize(work, Image.Resampling.BOX)) / 255.0
    seen = valid[step // 2 :: step, step // 2 :: step][: work[1], : work[0]]
    belief = _belief(small, seen, grid, x)
    marks = np.zeros(belief.shape, int)
    brush = disk(max(1, round(0.2 * head.unit / step)))  # type: ignore[no-untyped-call]
    solid = opening(belief > 0.5, brush)
    marks[(belief > 0.85) & solid] = 1
    pieces = _pieces(marks == 1)
    centre = np.unravel_index(np.abs(grid - [0, 0.4]).sum(-1).argmin(), belief.shape)
    marks[(marks == 1) & (pieces != pieces[centre])] = 0
    marks[_holes(marks == 1)] = 1
    marks[(belief < 0.25) | ~solid & (belief < 0.85)] = 2
    marks[~seen] = 2
    walked = (marks == 1).astype(float)
    if (marks == 0).any() and (marks == 2).any() and (marks == 1).any():
        walked = random_walker(
            small, marks, beta=90, mode="cg_j", tol=1e-3, prob_tol=1, channel_axis=-1, return_full_prob=True
        )[0]
    soft = _blur(np.clip(walked, 0, 1), 0.8)
    alpha = np.asarray(
        Image.fromarray((soft * 255).astype(np.uint8)).resize((size, size), Image.Resampling.BICUBIC)
    )
    return trim(np.clip((alpha / 255.0 - 0.4) / 0.45, 0, 1), head.grid(size), x)


def _belief(small: Array, seen: npt.NDArray[np.bool_], grid: Array, x: float) -> Array:
    """Probability of being head: an ellipse as prior, times how the colours inside differ from outside."""
    radius = _radius(grid, x, -0.12, 1.36, 1.75, taper=0.28)
    face, outer = (
        _radius(grid, 0.3 * x, 0.35, 0.95, 1.2) < 1,
        _radius(grid, x, -0.2, 1.75, 2.15, taper=0.5) > 1,
    )
    prior = np.clip((1.1 - radius) * 10, -6, 3)
    belief = 1 / (1 + np.exp(-prior))
    above_collar = grid[..., 1] < 1.3
    core = _radius(grid, 0.7 * x, -0.1, 1.05, 1.5) < 1
    lab = rgb2lab(small)
    levels = np.clip(lab / 100 * _BINS + [0, _BINS / 2, _BINS / 2], 0, _BINS - 1).astype(int)
    colour = (levels[..., 0] * _BINS + levels[..., 1]) * _BINS + levels[..., 2]
    for _ in range(4):
        outside = (1 - 0.9 * belief) * seen * above_collar * (radius > 1.33)
        if outside.sum() < 50:  # a tight crop shows nothing but the head: only the shape speaks
            break
        inside = np.clip(belief - 0.5, 0, 1) ** 2 * seen * core
        evidence = np.log(_histogram(colour, inside)) - np.log(_histogram(colour, outside))
        belief = _blur(1 / (1 + np.exp(-(prior + 1.7 * evidence[colour]))), 0.8)
        belief[outer] = 0
        belief[face] = 1
    return np.asarray(belief * seen, float)


def _histogram(colour: npt.NDArray[np.int_], weights: Array) -> Array:
    counts = np.bincount(colour.ravel(), weights.ravel(), _BINS**3).astype(float).reshape((_BINS,) * 3)
    smooth = _blur(counts, 1.0).ravel()
    return np.asarray(smooth / (smooth.sum() + 1e-9) + 2e-5, float)


def _holes(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """What ``mask`` encloses: gaps that do not reach the border."""
    gaps = _pieces(~mask)
    open_ends = np.concatenate([gaps[0], gaps[-1], gaps[:, 0], gaps[:, -1]])
    return np.asarray(~mask & ~np.isin(gaps, open_ends))


def _blur(image: Array, sigma: float) -> Array:
    blurred: Array = gaussian(image, sigma, mode="nearest")  # type: ignore[no-untyped-call]
    return blurred


def _pieces(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.int_]:
    return np.asarray(label(mask, connectivity=1))  # type: ignore[no-untyped-call]


def trim(alpha: Array, grid: Array, x: float) -> npt.NDArray[np.uint8]:
    """Keep the outline inside a generous head and cut the neck along the jaw."""
    outline = np.clip((1.03 - _radius(grid, x, -0.2, 1.75, 2.15, taper=0.5)) * 8, 0, 1)
    jaw = np.clip((1.03 - _radius(grid, 0.8 * x, 0.3, 1.32, 1.62)) * 14, 0, 1)
    below = np.clip((grid[..., 1] - 0.6) / 0.3, 0, 1)
    alpha = alpha * outline
    alpha = alpha * (1 - below) + np.minimum(alpha, jaw) * below
    return (alpha * 255).astype(np.uint8)
