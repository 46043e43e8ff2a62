"""InternVideo2-1B (Wang et al. 2024): the vision encoder of InternVideo2-Chat-8B-HD, frozen up to a block.

A plain vision transformer over all patches of all frames. What it does otherwise than most: queries and keys
are normalised over the full width, residuals are scaled per channel, and one frame has positions of its own.
"""

import hashlib
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from pvchat.errors import UserError
from pvchat.modules.internvideo2_blocks import Block
from pvchat.modules.published.checkpoint_folders import open_checkpoint
from pvchat.modules.published.filling import fill
from pvchat.modules.published.key_table import ENCODER
from pvchat.modules.video_encoder import VideoEncoder

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet


class InternVideo2(VideoEncoder):
    """Videos (N, T, 3, H, W) -> visual tokens (N, 1 + T * (H / patch)^2, D), the first being the class token.

    The defaults are the published model's, which has 39 blocks of nominally 40. The last ``num_late_blocks``
    and the layer norm behind them are trainable and always float32; what is before them is frozen, kept in
    ``dtype``, and computed once per clip. ``drop_path`` grows linearly from 0 in the first block and is on
    while late blocks train; the released fine-tuning leaves it off (0). Other numbers of frames than
    ``num_frames`` get interpolated positions."""

    def __init__(
        self,
        *,
        width: int = 1408,
        num_blocks: int = 39,
        num_heads: int = 16,
        mlp_width: int = 6144,
        patch_px: int = 14,
        image_px: int = 224,
        num_frames: int = 8,
        drop_path: float = 0.25,
        num_late_blocks: int = 0,
        gradient_checkpointing: bool = False,
        dtype: Literal["float32", "bfloat16"] = "float32",
    ) -> None:
        super().__init__()
        _check(num_blocks, num_late_blocks, image_px, patch_px, num_frames, drop_path)
        self.width, self.image_px, self.patch_px = width, image_px, patch_px
        self.num_frames, self.num_late_blocks = num_frames, num_late_blocks
        self.gradient_checkpointing = gradient_checkpointing
        patches = (image_px // patch_px) ** 2
        self.patch_embed = nn.Conv2d(3, width, patch_px, stride=patch_px)  # one frame a tubelet: 3-d is 2-d
        self.cls_token = nn.Parameter(torch.empty(1, width))
        self.video_positions = nn.Parameter(torch.empty(1 + num_frames * patches, width))
        self.image_positions = nn.Parameter(torch.empty(1 + patches, width))
        self.blocks = nn.ModuleList(
            Block(
                width,
                num_heads=num_heads,
                mlp_width=mlp_width,
                drop_path=drop_path * i / max(1, num_blocks - 1),
            )
            for i in range(num_blocks)
        )
        self.norm = nn.LayerNorm(width, eps=1e-12)
        self.reset_parameters()
        self._freeze(getattr(torch, dtype))

    def reset_parameters(self) -> None:
        """Untrained weights, from the global generator: normal with std .02, scales of residuals 1e-5."""
        for name, parameter in self.named_parameters():
            kind = name.rpartition(".")[2]
            if kind.startswith("scale"):
                nn.init.constant_(parameter, 1e-5)
            elif "norm" in name:
                nn.init.constant_(parameter, float(kind == "weight"))
            elif kind == "bias":
                nn.init.zeros_(parameter)
            else:
                nn.init.normal_(parameter, std=0.02)

    @property
    def boundary(self) -> int:
        """Number of frozen blocks."""
        return len(self.blocks) - self.num_late_blocks

    @property
    def dtype(self) -> torch.dtype:
        """Of the frozen weights, and so of the computation."""
        return self.patch_embed.weight.dtype

    def num_tokens(self, num_frames: int) -> int:
        return 1 + num_frames * (len(self.image_positions) - 1)

    def train(self, mode: bool = True) -> "InternVideo2":
        super().train(mode)
        self.blocks[: self.boundary].eval()  # frozen: their drop path must stay off
        return self

    @torch.no_grad()
    def embed(self, video: Tensor) -> Tensor:
        self.check(video)
        tokens = torch.cat([self.cls_token.expand(len(video), 1, -1), self._patches(video)], 1)
        tokens = tokens + self._positions(video.shape[1])
        for block in self.blocks[: self.boundary]:
            tokens = block(tokens)
        return tokens if self.num_late_blocks else self.norm(tokens)

    def finish(self, tokens: Tensor) -> Tensor:
        if not self.num_late_blocks:
            return tokens
        tokens = tokens.to(self.norm.weight.dtype)
        with self._precision(tokens):
            for block in self.blocks[self.boundary :]:
                if self.gradient_checkpointing and torch.is_grad_enabled():
                    tokens = checkpoint(block, tokens, use_reentrant=False)
                else:
                    tokens = block(tokens)
            output: Tensor = self.norm(tokens)
        return output

    def late_blocks(self) -> list[nn.Module]:
        return list(self.blocks[self.boundary :])

    def late_parameters(self) -> list[nn.Parameter]:
        if not self.num_late_blocks:
            return []
        return [*self.blocks[self.boundary :].parameters(), *self.norm.parameters()]

    @cached_property
    def fingerprint(self) -> str:
        late = {id(parameter) for parameter in self.late_parameters()}
        digest = hashlib.sha256(repr(("InternVideo2", 1, self.num_frames, self.num_late_blocks)).encode())
        for name, parameter in self.named_parameters():
            if id(parameter) not in late:
                digest.update(name.encode())
                digest.update(parameter.detach().cpu().contiguous().view(torch.uint8).numpy().data)
        return digest.hexdigest()[:16]

    def _freeze(self, dtype: torch.dtype) -> None:
        late = {id(parameter) for parameter in self.late_parameters()}
        for parameter in self.parameters():
            if id(parameter) not in late:
                parameter.requires_grad_(False)
                parameter.data = parameter.data.to(dtype)

    def _patches(self, video: Tensor) -> Tensor:
        """(N, T, 3, H, W) -> (N, T * L, D); pixels are normalised in float32, as they are decoded."""
        mean, std = (torch.tensor(v, device=video.device).view(3, 1, 1) for v in (_MEAN, _STD))
        pixels = (video.float() / 255 - mean) / std
        patches: Tensor = self.patch_embed(pixels.flatten(0, 1).to(self.dtype))  # (N * T, D, h, w)
        return patches.flatten(2).transpose(1, 2).reshape(len(video), -1, self.width)

    def _positions(self, num_frames: int) -> Tensor:
        """(1 + T * L, D): the table of one frame, that of a video, or one in between."""
        if num_frames == 1:
            return self.image_positions
        if num_frames == self.num_frames:
            return self.video_positions
        first, rest = self.video_positions[:1], self.video_positions[1:]
        by_time = rest.view(self.num_frames, -1).t().unsqueeze(0).float()  # (1, L * D, T)
        by_time = F.interpolate(by_time, size=num_frames, mode="linear").squeeze(0).t()
        return torch.cat([first, by_time.reshape(-1, self.width).to(first)])

    def _precision(self, tokens: Tensor) -> AbstractContextManager[object]:
        """Float32 weights of late blocks are used in the precision of the frozen ones."""
        if self.dtype == torch.float32:
            return nullcontext()
        return torch.autocast(tokens.device.type, self.dtype)


class PretrainedInternVideo2(InternVideo2):
    """The encoder of a published checkpoint: ``source`` is its folder, or what ``import-checkpoint`` wrote.

    The released fine-tuning unfreezes the second half, 20 blocks, and drops no path."""

    def __init__(
        self,
        *,
        source: str,
        num_late_blocks: int = 20,
        drop_path: float = 0.0,
        gradient_checkpointing: bool = True,
        dtype: Literal["float32", "bfloat16"] = "bfloat16",
    ) -> None:
        folder = open_checkpoint(source)
        with torch.device("meta"):
            super().__init__(
                width=folder.sizes.encoder_width,
                num_blocks=folder.sizes.encoder_blocks,
                num_heads=folder.sizes.encoder_heads,
                mlp_width=folder.sizes.encoder_mlp,
                patch_px=folder.sizes.patch_px,
                image_px=folder.sizes.image_px,
                num_frames=folder.sizes.num_frames,
                drop_path=drop_path,
                num_late_blocks=num_late_blocks,
                gradient_checkpointing=gradient_checkpointing,
                dtype=dtype,
            )
        fill(self, folder, prefix=ENCODER, parts=("encoder",))


def _check(
    num_blocks: int, num_late_blocks: int, image_px: int, patch_px: int, num_frames: int, drop_path: float
) -> None:
    if num_blocks < 1 or not 0 <= num_late_blocks <= num_blocks:
        raise UserError(
            f"num_late_blocks must be in 0..num_blocks: got {num_late_blocks}, num_blocks={num_blocks}."
        )
    if patch_px < 1 or image_px < 1 or image_px % patch_px:
        raise UserError(f"image_px must be a multiple of patch_px: got {image_px}, patch_px={patch_px}.")
    if num_frames < 2:
        raise UserError(f"num_frames must be >= 2: got {num_frames}. One frame has positions of its own.")
    if not 0 <= drop_path < 1:
        raise UserError(f"drop_path must be in [0, 1): got {drop_path}.")
