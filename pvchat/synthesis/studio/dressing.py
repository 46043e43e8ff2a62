"""A prepared photo treated as the scene asks: sharpness, exposure, colour of the clothes, light."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from pvchat.synthesis.animation.animator import Subject
from pvchat.synthesis.brush import Colour
from pvchat.synthesis.light import Light, exposed, tone
from pvchat.synthesis.matte import HeadFrame
from pvchat.synthesis.studio.garments import recoloured
from pvchat.synthesis.studio.preparation import Prepared
from pvchat.synthesis.studio.scenes import Treatment

Pixels = npt.NDArray[np.uint8]
Map = npt.NDArray[np.float32]
Array = npt.NDArray[np.float64]
_COLLAR = 3.0  # head units below the eyes where a neck has vanished in its collar


def dressed(prepared: Prepared, treatment: Treatment, colour: str, light: Light) -> tuple[Subject, Colour]:
    """``prepared`` as it will be moved, and the colour of its skin before the ``light`` falls on it. Without
    their own clothes only the head is left of a person."""
    layers = prepared.subject.layers
    both = torch.cat([layers.foreground, layers.alpha])
    share = treatment.detail / prepared.head.unit
    if share < 0.95:  # as unsharp as a photo of that size, enlarged
        size = [max(8, round(n * share)) for n in both.shape[1:]]
        small = F.interpolate(both[None], size, mode="bilinear", antialias=True)
        both = F.interpolate(small, both.shape[1:], mode="bicubic", align_corners=False)[0].clamp(0, 1)
    pixels = (both * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    rgb, alpha = pixels[..., :3], both[3].numpy()
    if treatment.grey:
        rgb = tone(rgb)
    rgb = exposed(rgb, float(np.mean(_skin(rgb, prepared.head))))
    skin = _skin(rgb, prepared.head)
    if treatment.own_clothes:
        rgb = recoloured(rgb, prepared.clothes, colour)
    else:
        y, x = np.mgrid[0 : rgb.shape[0], 0 : rgb.shape[1]]
        grid = prepared.head.to_head(np.stack([x, y], -1))
        alpha = alpha * prepared.bare
        alpha *= head_and_neck(alpha, grid, prepared.head.turn)
    worn = prepared.clothes[..., None] if treatment.own_clothes else 0.0
    person, clothes = (
        np.asarray(lamp.on(np.dstack([rgb, np.uint8(255 * alpha)])), np.float32)[..., :3] / 255
        for lamp in (light, light.white())
    )
    lit = person + worn * (clothes - person)
    foreground = torch.from_numpy(lit).permute(2, 0, 1).contiguous()
    cover = torch.from_numpy(np.ascontiguousarray(alpha))[None]
    return replace(prepared.subject, layers=replace(layers, foreground=foreground, alpha=cover)), skin


def head_and_neck(alpha: Map, grid: Array, turn: float) -> Map:
    """Where head, neck and long hair may be at places ``grid`` (H, W, 2) about a head that is ``turn``ed.
    ``alpha`` (H, W) is the person without clothes: hair that does not show beside the jaw is not long."""
    x, y = grid[..., 0] + 0.25 * turn, grid[..., 1]
    jaw = np.abs(y - 1.1) < 0.25
    crown = (np.abs(x) / 2) ** 2.5 + (np.clip(-y - 0.1, 0, None) / 2.5) ** 2.5
    room = np.clip((1 - crown) * 6, 0, 1) * np.clip((_COLLAR - y) * 2, 0, 1)
    for side in (-1, 1):
        beside = jaw & (np.abs(side * x - 1.1) < 0.12)
        long = beside.any() and float(alpha[beside].mean()) > 0.5
        width = np.interp(y, [0.5, 1.3, 2.2], [1.9, 1.9, 1.9] if long else [1.7, 0.92, 0.85])
        room = np.where(side * x > 0, room * np.clip((width - side * x) * 7, 0, 1), room)
    return np.asarray(room, np.float32)


def _skin(rgb: Pixels, head: HeadFrame) -> Colour:
    """Typical colour of the cheeks."""
    y, x = np.mgrid[0 : rgb.shape[0], 0 : rgb.shape[1]]
    u, v = np.moveaxis(head.to_head(np.stack([x, y], -1)), -1, 0)
    r, g, b = np.median(rgb[(np.abs(v - 0.55) < 0.3) & (np.abs(u) < 0.75)], axis=0).astype(int).tolist()
    return r, g, b
