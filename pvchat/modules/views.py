"""Views of a clip: the whole frame, the face, and who the face looks like.

A patch encoder alone learns the recording, not the person; the identity view is what carries over to
another recording. Which views there are is a choice of the configuration.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from pvchat.batch import Clip, Features
from pvchat.errors import UserError
from pvchat.faces import DOUBTFUL, EMBEDDING_WIDTH, HEAD, Face, FaceAnalyzer, Frame, Vector, track
from pvchat.modules.base_views import Views
from pvchat.modules.vision import VisionEncoder

ViewName = Literal["global", "face", "identity"]
ALL_VIEWS: tuple[ViewName, ...] = ("global", "face", "identity")
_CHUNK = 8  # images embedded at once


class ClipViews(Views):
    """Extracts features of clips up to the unfreeze boundary, and turns a batch of them into the Q-former's
    context. ``num_faces`` persons of a clip are followed, those with the largest faces first.
    ``view_dropout`` is the probability that a training clip is shown without a view."""

    encoder: VisionEncoder

    def __init__(
        self,
        *,
        encoder: VisionEncoder,
        names: Sequence[ViewName] = ALL_VIEWS,
        max_frames: int = 8,
        num_faces: int = 1,
        face_margin: float = 0.25,
        identity_tokens: int = 4,
        view_dropout: float = 0.0,
        faces: FaceAnalyzer | None = None,
    ) -> None:
        super().__init__()
        if not names or len(set(names)) != len(names) or not set(names) <= set(ALL_VIEWS):
            raise UserError(f"views must be some of {list(ALL_VIEWS)}, each once: got {list(names)}.")
        if num_faces < 1:
            raise UserError(
                f"num_faces must be >= 1: got {num_faces}. To do without faces, drop their views."
            )
        self.encoder, self.names, self.context_width = encoder, tuple(names), encoder.width
        if not 0 <= view_dropout < 1:
            raise UserError(f"view_dropout must be in [0, 1): got {view_dropout}.")
        self.max_frames, self.num_faces, self.face_margin = max_frames, num_faces, face_margin
        self.view_dropout = view_dropout
        self.faces = faces or FaceAnalyzer()
        if "identity" in names:
            self.identity = IdentityTokens(encoder.width, num_tokens=identity_tokens)
        # zero at first, so that they do not disturb pretrained features
        self.view_embeddings = nn.Parameter(torch.zeros(len(names), encoder.width))
        self.frame_embeddings = nn.Parameter(torch.zeros(max_frames, encoder.width))
        if self.shows_faces:
            self.face_embeddings = nn.Parameter(torch.zeros(num_faces, encoder.width))

    @property
    def shows_faces(self) -> bool:
        return self.names != ("global",)

    def forward(self, views: dict[str, Tensor], view_masks: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Features (B, T, L, D) and masks (B, T) of every view -> context (B, K, D) and its mask (B, K)."""
        parts, masks = [], []
        kept = self._kept(len(view_masks[self.names[0]])).to(self.view_embeddings.device)
        for index, name in enumerate(self.names):
            features = views[name].to(self.view_embeddings)
            frames = features.shape[1]
            if frames > self.max_frames:
                raise UserError(
                    f"a clip may have at most max_frames={self.max_frames} frames: got {frames}. "
                    "Raise max_frames of the views or lower num_frames of the data."
                )
            tokens, mask = self._tokens(name, features)  # (B, T, F, L', D), (B, T, F)
            tokens = tokens + self.view_embeddings[index] + self.frame_embeddings[:frames, None, None]
            if name != "global":
                tokens = tokens + self.face_embeddings[:, None]
            mask = mask & view_masks[name].unsqueeze(-1) & kept[:, index, None, None]
            mask = mask.unsqueeze(-1).expand(tokens.shape[:-1])
            parts.append(tokens.masked_fill(~mask.unsqueeze(-1), 0).flatten(1, 3))
            masks.append(mask.flatten(1))
        return torch.cat(parts, 1), torch.cat(masks, 1)

    def check_frames(self, num_frames: int, shown: Sequence[int | None]) -> None:
        if num_frames > self.max_frames:
            raise UserError(
                f"data.num_frames must be at most max_frames={self.max_frames} of the views: "
                f"got {num_frames}."
            )

    def extract(self, clip: Clip, blank_faces: bool = False) -> Features:
        """Cached part of the views, float16 on the CPU: ``name`` (T, L, D) and ``name.mask`` (T,).

        With ``num_faces`` > 1, L of the face views holds one person after the other; a place nobody takes is
        zeros. With ``blank_faces``, heads are painted over first and the face views show nothing."""
        frames = self.faces.blank_heads(clip.frames) if blank_faces else clip.frames
        found: list[list[Face]] = [[] for _ in frames]
        if self.shows_faces and not blank_faces:
            # a few more than needed, so that a followed person may be overtaken by a larger face
            found = [f[: self.num_faces + 2] for f in self.faces.detect(frames)]
        vectors = [[self.faces.embed(f, face) for face in fs] for f, fs in zip(frames, found, strict=True)]
        slots = track(found, vectors, num_faces=self.num_faces)
        out: Features = {}
        for name in self.names:
            if name == "global":
                out[name], shown = self._embed(frames), torch.ones(len(frames), dtype=torch.bool)
            else:
                whole = (
                    self._faces(frames, found, slots) if name == "face" else self._identities(vectors, slots)
                )
                out[name] = whole.flatten(1, 2)
                shown = torch.tensor([any(i is not None for i in row) for row in slots])
            out[name], out[f"{name}.mask"] = out[name].half(), shown
        return out

    def shapes(self, num_frames: int) -> dict[str, tuple[int, ...]]:
        image = (self.encoder.boundary_tokens, self.encoder.width)
        each = {"global": (1, *image), "face": (self.num_faces, *image)}
        each["identity"] = (self.num_faces, 1, EMBEDDING_WIDTH)
        return {n: (num_frames, each[n][0] * each[n][1], each[n][2]) for n in self.names}

    @property
    def fingerprint(self) -> str:
        """Names all that ``extract`` depends on."""
        settings = (2, self.names, self.num_faces, self.face_margin, DOUBTFUL, HEAD)
        return hashlib.sha256(
            repr((settings, self.encoder.fingerprint, self.faces.fingerprint)).encode()
        ).hexdigest()[:16]

    def standardise(self, features: Iterable[Features]) -> None:
        """Centre the face embeddings on those of the training clips ``features``, before training."""
        if "identity" in self.names:
            self.identity.standardise(
                [f["identity"][f["identity.mask"]].reshape(-1, EMBEDDING_WIDTH) for f in features]
            )

    def _kept(self, batch: int) -> Tensor:
        """(B, V) views shown. In training some are left out, never all of a clip, so that each learns to
        tell on its own: else patches, which know every training photo, would do all the work."""
        shown = torch.ones(batch, len(self.names), dtype=torch.bool)
        if self.training and self.view_dropout:
            shown = torch.rand(shown.shape) >= self.view_dropout
            one = torch.randint(len(self.names), (batch,))
            shown[torch.arange(batch), one] |= ~shown.any(1)
        return shown

    def _tokens(self, name: ViewName, features: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, T, F * L, D) of a view -> tokens (B, T, F, L', D) and who is there (B, T, F)."""
        batch, frames = features.shape[:2]
        if name == "global":
            tokens = self.encoder.finish(features.flatten(0, 1))
            present = features.new_ones(batch, frames, 1, dtype=torch.bool)
            return tokens.reshape(*present.shape, -1, self.context_width), present
        features = features.reshape(batch, frames, self.num_faces, -1, features.shape[-1])
        present = features.flatten(3).any(-1)
        if name == "identity":
            return self.identity(features.squeeze(3)), present
        tokens = self.encoder.finish(features.flatten(0, 2))
        return tokens.reshape(*present.shape, -1, self.context_width), present

    def _embed(self, frames: Frame) -> Tensor:
        device = self.view_embeddings.device
        images = torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2)
        chunks = [images[start : start + _CHUNK] for start in range(0, len(images), _CHUNK)]
        return torch.cat([self.encoder.embed(chunk.to(device)).cpu() for chunk in chunks])

    def _faces(self, frames: Frame, found: list[list[Face]], slots: list[list[int | None]]) -> Tensor:
        """Boundary tokens (T, F, L, D) of the face crops."""
        out = torch.zeros(len(frames), self.num_faces, self.encoder.boundary_tokens, self.encoder.width)
        places = [(t, s, i) for t, row in enumerate(slots) for s, i in enumerate(row) if i is not None]
        if places:
            size = self.encoder.image_px
            crops = [self.faces.crop(frames[t], found[t][i], size, self.face_margin) for t, _, i in places]
            out[[t for t, _, _ in places], [s for _, s, _ in places]] = self._embed(np.stack(crops)).float()
        return out

    def _identities(self, vectors: list[list[Vector]], slots: list[list[int | None]]) -> Tensor:
        """Face embeddings (T, F, 1, 128)."""
        nobody = np.zeros(EMBEDDING_WIDTH, dtype=np.float32)
        rows = [[nobody if i is None else v[i] for i in row] for v, row in zip(vectors, slots, strict=True)]
        return torch.from_numpy(np.array(rows, dtype=np.float32)).unsqueeze(2)


class IdentityTokens(nn.Module):
    """Face embeddings (..., 128) -> ``num_tokens`` tokens (..., n, D).

    The embeddings of all people share a large mean, about which they differ little: they are centred and
    scaled by buffers that are set from the training clips once and kept with the trained weights."""

    mean: Tensor
    scale: Tensor

    def __init__(self, width: int, *, num_tokens: int) -> None:
        super().__init__()
        self.num_tokens = num_tokens
        self.project = nn.Linear(EMBEDDING_WIDTH, num_tokens * width)
        self.norm = nn.LayerNorm(width)
        self.register_buffer("mean", torch.zeros(EMBEDDING_WIDTH))
        self.register_buffer("scale", torch.ones(()))

    def forward(self, embeddings: Tensor) -> Tensor:
        centred = (embeddings - self.mean) * self.scale
        tokens: Tensor = self.norm(self.project(centred).unflatten(-1, (self.num_tokens, -1)))
        return tokens

    @torch.no_grad()
    def standardise(self, embeddings: Sequence[Tensor]) -> None:
        """Set mean and scale, once, from ``embeddings``, (n, 128) each; all-zero rows are nobody's."""
        if float(self.scale) != 1:
            return
        rows = torch.cat([e.float() for e in embeddings])
        rows = rows[rows.any(-1)]
        if len(rows) > 1 and float(rows.std(0).mean()) > 0:
            self.mean.copy_(rows.mean(0))
            self.scale.copy_(1 / rows.std(0).mean())
