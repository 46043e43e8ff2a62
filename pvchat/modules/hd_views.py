"""Views of frames as InternVideo2-Chat-8B-HD was trained with: crops side by side, then the whole."""

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pvchat.batch import Clip, Features
from pvchat.errors import UserError
from pvchat.faces import DOUBTFUL, HEAD, FaceAnalyzer
from pvchat.modules.base_views import Views
from pvchat.modules.video_encoder import VideoEncoder


class HDViews(Views):
    """A clip as ``rows * columns`` crops and the whole (see ``hd_views``), each read by a video encoder and
    by the Q-former in a pass of its own.

    Features are ``video`` (V, L, D), of all frames jointly, and ``image`` (V, L', D), of the first frame
    alone; a stage shows one or the other. They keep the type of the encoder's frozen weights. ``faces`` finds
    the heads that a control paints over."""

    encoder: VideoEncoder

    def __init__(
        self, *, encoder: VideoEncoder, columns: int = 2, rows: int = 1, faces: FaceAnalyzer | None = None
    ) -> None:
        super().__init__()
        if min(columns, rows) < 1:
            raise UserError(f"columns and rows must be >= 1: got columns={columns}, rows={rows}.")
        self.encoder = encoder
        self.context_width = encoder.width
        self.columns, self.rows, self.num_passes = columns, rows, rows * columns + 1
        self.faces = faces or FaceAnalyzer()

    def forward(self, views: dict[str, Tensor], view_masks: dict[str, Tensor]) -> tuple[Tensor, None]:
        features = views["video"] if "video" in views else views["image"]  # (B, V, L, D)
        return self.encoder.finish(features.flatten(0, 1)).float(), None

    def extract(self, clip: Clip, blank_faces: bool = False) -> Features:
        pixels = self.faces.blank_heads(clip.frames) if blank_faces else clip.frames
        frames = torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2)
        views = hd_views(frames, view_px=self.encoder.image_px, columns=self.columns, rows=self.rows)
        views = views.to(next(self.encoder.parameters()).device)  # (V, T, 3, H, W)
        out: Features = {"image": self.encoder.embed(views[:, :1]).cpu()}
        if len(frames) > 1:
            out["video"] = self.encoder.embed(views).cpu()
        return out | {f"{name}.mask": torch.ones(self.num_passes, dtype=torch.bool) for name in out}

    def shapes(self, num_frames: int) -> dict[str, tuple[int, ...]]:
        counts = {"image": 1, "video": num_frames} if num_frames > 1 else {"image": 1}
        tokens = {name: self.encoder.num_tokens(count) for name, count in counts.items()}
        return {name: (self.num_passes, count, self.encoder.width) for name, count in tokens.items()}

    def show(self, features: Features, num_frames: int | None) -> Features:
        name = "image" if num_frames == 1 or "video" not in features else "video"
        tokens = features[name].shape[1]
        if name == "video" and num_frames is not None and self.encoder.num_tokens(num_frames) < tokens:
            raise _frames_are_read_jointly(num_frames)
        return {key: features[key] for key in (name, f"{name}.mask")}

    def check_frames(self, num_frames: int, shown: Sequence[int | None]) -> None:
        for count in shown:
            if count is not None and 1 < count < num_frames:
                raise _frames_are_read_jointly(count)

    @property
    def fingerprint(self) -> str:
        settings = (1, self.columns, self.rows, DOUBTFUL, HEAD)
        return hashlib.sha256(
            repr(("HDViews", settings, self.encoder.fingerprint, self.faces.fingerprint)).encode()
        ).hexdigest()[:16]


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


def _frames_are_read_jointly(num_frames: int) -> UserError:
    return UserError(
        f"the encoder reads frames jointly: num_frames of a stage must be 1 or null, got {num_frames}."
    )


def _resize(frames: Tensor, height: int, width: int) -> Tensor:
    return F.interpolate(frames, (height, width), mode="bicubic", align_corners=False)
