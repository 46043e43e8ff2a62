"""Vision transformers, split at the unfreeze boundary.

The frozen trunk runs once per clip and its tokens are cached; the late blocks run in every step.
"""

import hashlib
from abc import abstractmethod
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pvchat.assets import ASSETS, asset
from pvchat.errors import UserError
from pvchat.modules.encoder import Encoder
from pvchat.modules.weightless import weightless

EMBEDDED = "embedded:"
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet, as DINOv2 was trained with


class VisionEncoder(Encoder):
    """``finish(embed(frames))`` are the visual tokens of frames; only ``finish`` is differentiable."""

    image_px: int  # side of the square the encoder looks at
    boundary_tokens: int  # L, tokens of one image as ``embed`` returns them
    tokens_per_image: int  # L', tokens of one image as ``finish`` returns them

    @abstractmethod
    def embed(self, frames: Tensor) -> Tensor:
        """Frames (N, 3, H, W) uint8 -> tokens (N, L, D) at the unfreeze boundary, without gradient."""

    @abstractmethod
    def finish(self, tokens: Tensor) -> Tensor:
        """Tokens (N, L, D) from ``embed`` -> visual tokens (N, L', D)."""


class DinoViT(VisionEncoder):
    """Patch tokens of a ``transformers.Dinov2Model``, average-pooled to ``grid`` x ``grid``.

    ``depth`` blocks are run; by default all but the last, whose patch tokens correspond less well between
    images. Of these the last ``num_late_blocks``, with the final layer norm, are trainable. Frames are
    squashed to a square of ``image_px``. With ``num_late_blocks=0`` everything is frozen and ``embed``
    already returns the pooled tokens."""

    mean: Tensor
    std: Tensor

    def __init__(
        self, *, model: Any, image_px: int, num_late_blocks: int, grid: int, depth: int | None = None
    ) -> None:
        super().__init__()
        available, side = len(model.encoder.layer), image_px // model.config.patch_size
        depth = available - 1 if depth is None else depth
        if image_px % model.config.patch_size:
            raise UserError(
                f"image_px must be a multiple of the patch size {model.config.patch_size}: got {image_px}."
            )
        if grid < 1 or side % grid:
            raise UserError(
                f"grid must divide the {side} patches of a side ({image_px} px): got {grid}. "
                "Change grid or image_px."
            )
        if not 0 < depth <= available:
            raise UserError(f"depth must be in 1..{available}, the blocks of the encoder: got {depth}.")
        if not 0 <= num_late_blocks <= depth:
            raise UserError(f"num_late_blocks must be in 0..{depth} (depth): got {num_late_blocks}.")
        self.image_px, self.side, self.grid, self.depth = image_px, side, grid, depth
        self.width: int = model.config.hidden_size
        self.tokens_per_image = grid * grid
        self.boundary_tokens = 1 + side * side if num_late_blocks else grid * grid
        boundary = depth - num_late_blocks
        self.trunk = nn.ModuleList([model.embeddings, *model.encoder.layer[:boundary]]).eval()
        self.late = nn.ModuleList(model.encoder.layer[boundary:depth])
        self.norm = model.layernorm
        self.trunk.requires_grad_(False)
        if not num_late_blocks:
            self.norm.requires_grad_(False)
        self.register_buffer("mean", torch.tensor(_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(_STD).view(3, 1, 1), persistent=False)

    def train(self, mode: bool = True) -> "DinoViT":
        super().train(mode)
        self.trunk.eval()  # frozen: its dropout must stay off
        return self

    @torch.no_grad()
    def embed(self, frames: Tensor) -> Tensor:
        embeddings, *blocks = self.trunk
        pixels = F.interpolate(
            frames.to(self.mean) / 255, (self.image_px, self.image_px), mode="bilinear", antialias=True
        )
        tokens: Tensor = embeddings((pixels - self.mean) / self.std)
        for block in blocks:
            tokens = block(tokens)
        return tokens if len(self.late) else self._pool(tokens)

    def finish(self, tokens: Tensor) -> Tensor:
        if not len(self.late):
            return tokens
        for block in self.late:
            tokens = block(tokens)
        return self._pool(tokens)

    def late_blocks(self) -> list[nn.Module]:
        return list(self.late)

    def late_parameters(self) -> list[nn.Parameter]:
        return [*self.late.parameters(), *self.norm.parameters()] if len(self.late) else []

    @cached_property
    def fingerprint(self) -> str:
        frozen = nn.ModuleList([self.trunk] if len(self.late) else [self.trunk, self.norm])
        settings = (self.image_px, self.depth, len(self.late), None if len(self.late) else self.grid)
        digest = hashlib.sha256(repr(("DinoViT", 1, *settings)).encode())
        for name, tensor in frozen.state_dict().items():
            digest.update(name.encode())
            digest.update(tensor.cpu().contiguous().view(torch.uint8).numpy().data)
        return digest.hexdigest()[:16]

    def _pool(self, tokens: Tensor) -> Tensor:
        patches = self.norm(tokens)[:, 1:]  # without CLS
        images = patches.transpose(1, 2).reshape(len(tokens), -1, self.side, self.side)  # (N, D, side, side)
        return F.avg_pool2d(images, self.side // self.grid).flatten(2).transpose(1, 2)


class EmbeddedViT(DinoViT):
    """Pretrained encoder: the embedded ViT-S/14 (a DINOv2 fine-tuned for saliency, so its results are not
    DINOv2's), or any DINOv2 from a folder or the hub."""

    def __init__(
        self,
        *,
        image_px: int = 112,
        num_late_blocks: int = 1,
        grid: int = 4,
        depth: int | None = None,
        source: str = "embedded:vit-s-focus",
    ) -> None:
        super().__init__(
            model=_load(source), image_px=image_px, num_late_blocks=num_late_blocks, grid=grid, depth=depth
        )


class RandomViT(DinoViT):
    """Untrained small encoder for tests and debugging: no download, the weights depend on ``seed`` alone."""

    def __init__(
        self,
        *,
        width: int = 64,
        num_layers: int = 3,
        num_heads: int = 4,
        patch_px: int = 14,
        image_px: int = 56,
        num_late_blocks: int = 1,
        grid: int = 2,
        depth: int | None = None,
        seed: int = 0,
    ) -> None:
        from transformers import Dinov2Config, Dinov2Model

        config = Dinov2Config(
            hidden_size=width,
            num_hidden_layers=num_layers,
            num_attention_heads=num_heads,
            patch_size=patch_px,
            image_size=image_px,
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = Dinov2Model(config)
        super().__init__(
            model=model, image_px=image_px, num_late_blocks=num_late_blocks, grid=grid, depth=depth
        )


def _load(source: str) -> Any:
    from transformers import Dinov2Config, Dinov2Model, PretrainedConfig

    path = asset(source.removeprefix(EMBEDDED)) if source.startswith(EMBEDDED) else Path(source).expanduser()
    place = str(path) if path.exists() else source
    try:
        kind = PretrainedConfig.get_config_dict(place)[0].get("model_type")
        if kind != Dinov2Config.model_type:
            raise UserError(f"the encoder's source must be a DINOv2 model: {source!r} is {kind!r}.")
        if weightless():
            return Dinov2Model(Dinov2Config.from_pretrained(place))
        return Dinov2Model.from_pretrained(place, dtype=torch.float32)
    except OSError as error:
        embedded = [EMBEDDED + name for name in ASSETS if name.startswith("vit")]
        raise UserError(
            "the encoder's source must be an embedded asset, a model folder or a hub id that can be reached: "
            f"got {source!r}. Embedded: {embedded}."
        ) from error
