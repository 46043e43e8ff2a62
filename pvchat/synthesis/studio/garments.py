"""What a person wears in a photo: where it is, and the same in another colour."""

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter
from scipy.spatial import ConvexHull
from skimage.color import lab2rgb, rgb2lab
from skimage.measure import label
from skimage.segmentation import random_walker

from pvchat.synthesis.matte import HeadFrame
from pvchat.synthesis.wardrobe import COLOURS

Pixels = npt.NDArray[np.uint8]
Map = npt.NDArray[np.float32]
_WORK_PX = 128
_CHEST, _COLLAR = 2.6, 0.3  # head units below the eyes: certainly clothes unless skin; none above
_UNLIKE = 16.0  # colour difference (Lab) beyond which something is no skin, no hair
_FOLDS = 0.6  # how much of the folds is kept,
_DEEPEST = 18.0  # at most so much lightness: stripes and prints become folds


def clothes_mask(photo: Pixels, alpha: Map, head: HeadFrame, face: Map) -> Map:
    """How much of each pixel (H, W) is clothes of the person whose ``head`` is in ``photo`` (H, W, 3), whose
    outline is ``alpha`` and whose ``face`` (H, W) is no clothes: a random walk (Grady 2006) from what is
    surely head or chest."""
    height, width = alpha.shape
    scale = min(1.0, _WORK_PX / max(height, width))
    size = (max(8, round(width * scale)), max(8, round(height * scale)))
    lab = rgb2lab(np.asarray(Image.fromarray(photo).resize(size, Image.Resampling.BOX)))
    cover = np.asarray(Image.fromarray(alpha).resize(size, Image.Resampling.BOX))
    front = np.asarray(Image.fromarray(face).resize(size, Image.Resampling.BOX)) > 0.5
    y, x = np.mgrid[0 : size[1], 0 : size[0]] + 0.5
    u, v = np.moveaxis(head.to_head(np.stack([x * width / size[0], y * height / size[1]], -1)), -1, 0)
    person = cover > 0.5
    cheeks = (np.abs(v - 0.55) < 0.3) & (np.abs(u) < 0.7)
    skin = _near(lab, cheeks & person, lightness=0.45)
    above = (v < -0.75) & (np.abs(u) < 1.0) & (cover > 0.9)
    hair = _near(lab, above, lightness=1.0) if above.sum() > 4 else np.full(cover.shape, np.inf)
    low = (v > _CHEST) | ((v > 1.7) & (np.abs(u) > 1.5))
    chest = low & (cover > 0.9) & (skin > _UNLIKE)
    marks = np.where(person, 0, -1)
    marks[person & ((v < _COLLAR) | front)] = 1
    marks[person & (v < _CHEST + 0.8) & (skin < 0.6 * _UNLIKE)] = 1
    if chest.any() and np.median(hair[chest]) > 1.5 * _UNLIKE:  # long hair over clothes of another colour
        marks[person & (v < _CHEST + 1) & (hair < 0.6 * _UNLIKE)] = 1
        chest &= hair > 0.6 * _UNLIKE
    marks[chest & (marks != 1)] = 2
    marks[~_reached(marks)] = -1
    if not ((marks == 1).any() and (marks == 2).any()):
        return np.zeros_like(alpha)
    walked = random_walker(
        lab / 100, marks, beta=300, mode="cg_j", tol=1e-3, prob_tol=1, channel_axis=-1, return_full_prob=True
    )
    worn = np.where(person & (v > _COLLAR), walked[1], 0).astype(np.float32)
    large = Image.fromarray(_spread(worn, person)).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(np.clip((np.asarray(large) - 0.3) / 0.4, 0, 1), np.float32)


def bare_mask(photo: Pixels, alpha: Map, head: HeadFrame, face: Map) -> Map:
    """How much each pixel (H, W) may be of head and neck: around the ``face`` (H, W), below the eyes,
    what has the colour of skin or hair, above the brows or, on the person (``alpha``), beside the eyes."""
    y, x = np.mgrid[0 : photo.shape[0], 0 : photo.shape[1]]
    u, v = np.moveaxis(head.to_head(np.stack([x, y], -1)), -1, 0)
    lab = rgb2lab(photo)
    skin = _near(lab, (np.abs(v - 0.55) < 0.3) & (np.abs(u) < 0.7), lightness=0.3)
    hair = _near(lab, (v < -0.75) & (v > -1.3) & (np.abs(u) < 0.8), lightness=0.6)
    beside = (np.abs(v) < 0.4) & (alpha > 0.9) & (face < 0.1)
    strands = [_near(lab, beside & (np.abs(side * u - 1.4) < 0.35), lightness=0.6) for side in (-1, 1)]
    shoulder = (np.abs(u) > 1.1) & (v > 1.2)
    unlike = np.minimum.reduce([np.where(shoulder, np.inf, skin), hair, *strands])
    alike = np.clip((1.6 * _UNLIKE - unlike) / (0.6 * _UNLIKE), 0, 1)
    below = (1 - face) * np.clip((v - 0.3) * 4, 0, 1)
    return np.asarray(1 - below * (1 - alike), np.float32)


def face_mask(mesh: npt.NDArray[np.float64], size: tuple[int, int]) -> Map:
    """1 on the face whose landmarks are ``mesh`` (468, 3), 0 elsewhere, in a picture of ``size`` (H, W)."""
    outline = mesh[ConvexHull(mesh[:, :2]).vertices, :2]
    image = Image.new("L", size[::-1])
    ImageDraw.Draw(image).polygon([(float(x), float(y)) for x, y in outline], fill=255)
    soft = image.filter(ImageFilter.GaussianBlur(0.01 * float(np.ptp(outline))))
    return np.asarray(np.asarray(soft, np.float32) / 255)


def recoloured(rgb: Pixels, mask: Map, colour: str) -> Pixels:
    """``rgb`` (H, W, 3) with ``colour`` where ``mask`` (H, W) is 1: hue, chroma and mean lightness are those
    of the colour, folds are those of the photo."""
    lab = rgb2lab(rgb).astype(np.float32)
    target = rgb2lab(np.array(COLOURS[colour], np.uint8)[None, None])[0, 0].astype(np.float32)
    worn = mask > 0.5
    usual = float(np.median(lab[..., 0][worn])) if worn.any() else 50.0
    folds = _DEEPEST * np.tanh(_FOLDS * (lab[..., 0] - usual) / _DEEPEST)
    folds *= 0.45 if target[0] < 30 else 1.0
    lightness = np.clip(target[0] + folds, 2, 99)
    chroma = np.clip(lightness / target[0], 0.6, 1.15)[..., None]
    dyed = lab2rgb(np.concatenate([lightness[..., None], target[1:] * chroma], -1)) * 255
    share = mask[..., None]
    return np.asarray(np.clip(rgb * (1 - share) + dyed * share, 0, 255), np.uint8)


def _near(lab: npt.NDArray[np.float64], where: npt.NDArray[np.bool_], *, lightness: float) -> Map:
    """Difference of every pixel from the typical colour of ``where``."""
    typical = np.median(lab[where], axis=0) if where.any() else np.full(3, np.inf)
    return np.asarray(np.linalg.norm((lab - typical) * [lightness, 1, 1], axis=-1), np.float32)


def _reached(marks: npt.NDArray[np.int_]) -> npt.NDArray[np.bool_]:
    """Where in ``marks`` (H, W; -1 is out of bounds) a walk ends at a mark. An island of one pixel counts as
    out of bounds too: scikit-image shifts the whole graph by it."""
    islands: npt.NDArray[np.int_] = np.asarray(label(marks >= 0, connectivity=1))  # type: ignore[no-untyped-call]
    large = np.bincount(islands.ravel())[islands] > 1
    return np.asarray(np.isin(islands, islands[marks > 0]) & (marks >= 0) & large)


def _spread(mask: Map, person: npt.NDArray[np.bool_]) -> Map:
    """``mask`` continued over the outline of the person, so that no rim keeps its colour."""
    for _ in range(2):
        around = np.pad(mask, 1)
        windows = np.lib.stride_tricks.sliding_window_view(around, (3, 3)).max((2, 3))
        mask = np.asarray(np.where(person, mask, windows), np.float32)
    return mask
