"""Views of frames as InternVideo2-Chat-8B-HD was trained with: crops side by side, then the whole."""

import torch
import torch.nn.functional as F
from torch import Tensor

from pvchat.errors import UserError


def hd_views(frames: Tensor, *, view_px: int = 224, columns: int = 2, rows: int = 1) -> Tensor:
    """Frames (T, 3, H, W) in 0..255 -> views (rows * columns + 1, T, 3, view_px, view_px) float32, 0..255.

    Frames are squashed to ``columns * view_px`` by ``rows * view_px`` whatever their shape, cut row by row,
    and the last view is all of it at half the size. Bicubic without antialias, and what overshoots 0..255 is
    kept: that is how the released loader does it. For its frames use the policy ``middle``."""
    if frames.ndim != 4 or frames.shape[1] != 3 or not frames.numel():
        raise UserError(f"views are cut from frames (T, 3, H, W): got {tuple(frames.shape)}.")
    if min(view_px, columns, rows) < 1:
        raise UserError(
            f"view_px, columns and rows must be >= 1: got view_px={view_px}, columns={columns}, rows={rows}."
        )
    whole = _resize(frames.float(), rows * view_px, columns * view_px)
    grid = whole.reshape(len(frames), 3, rows, view_px, columns, view_px)
    crops = grid.permute(2, 4, 0, 1, 3, 5).flatten(0, 1)
    return torch.cat([crops, _resize(whole, view_px, view_px).unsqueeze(0)])


def _resize(frames: Tensor, height: int, width: int) -> Tensor:
    return F.interpolate(frames, (height, width), mode="bicubic", align_corners=False)
