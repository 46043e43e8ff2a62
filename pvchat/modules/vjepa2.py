"""V-JEPA 2 (Assran et al. 2025): a video encoder trained to predict features of masked parts of videos."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from pvchat.errors import UserError
from pvchat.modules.tubelet_encoder import TubeletEncoder, load_tower


class VJEPA2(TubeletEncoder):
    """Videos (N, T, 3, H, W) -> patch tokens (N, ceil(T / 2) * (H / 16)^2, D) of all frames jointly.

    ``source`` is a folder or a hub id such as facebook/vjepa2-vitl-fpc64-256. The size of the frames is the
    source's, since its rotary positions know no other; their number is free. The last ``num_late_blocks`` and
    the layer norm behind them are trainable and always float32; what is before them is frozen, kept in
    ``dtype``, and computed once per clip. The predictor is left out."""

    def __init__(
        self,
        *,
        source: str,
        num_late_blocks: int = 0,
        gradient_checkpointing: bool = False,
        dtype: Literal["float32", "bfloat16"] = "float32",
    ) -> None:
        from transformers import VJEPA2Model

        model, processor = load_tower(source, VJEPA2Model, ("vjepa2",), getattr(torch, dtype))
        config = model.config
        if not 0 <= num_late_blocks <= config.num_hidden_layers:
            raise UserError(
                f"num_late_blocks must be in 0..{config.num_hidden_layers}, the blocks of the encoder: "
                f"got {num_late_blocks}."
            )
        super().__init__(
            tower=model.encoder,
            processor=processor,
            width=config.hidden_size,
            image_px=config.crop_size,
            num_frames=config.frames_per_clip,
            frames_per_tubelet=config.tubelet_size,
            tokens_per_tubelet=(config.crop_size // config.patch_size) ** 2,
        )
        self.num_late_blocks, self.gradient_checkpointing = num_late_blocks, gradient_checkpointing
        self.boundary = config.num_hidden_layers - num_late_blocks  # number of frozen blocks
        for parameter in self.late_parameters():
            parameter.data = parameter.data.float()
            parameter.requires_grad_(True)

    def tokens(self, pixels: Tensor) -> Tensor:
        tokens: Tensor = self.tower.embeddings(pixels)
        for block in self.blocks[: self.boundary]:
            tokens = block(tokens)[0]
        return tokens if self.num_late_blocks else self._norm(tokens)

    def finish(self, tokens: Tensor) -> Tensor:
        if not self.num_late_blocks:
            return tokens
        tokens = tokens.float()
        for block in self.blocks[self.boundary :]:
            if self.gradient_checkpointing and torch.is_grad_enabled():
                tokens = checkpoint(block, tokens, use_reentrant=False)[0]
            else:
                tokens = block(tokens)[0]
        return self._norm(tokens)

    def late_blocks(self) -> list[nn.Module]:
        return list(self.blocks[self.boundary :])

    def late_parameters(self) -> list[nn.Parameter]:
        if not self.num_late_blocks:
            return []
        return [*self.blocks[self.boundary :].parameters(), *self.tower.layernorm.parameters()]

    def train(self, mode: bool = True) -> "VJEPA2":
        super().train(mode)
        self.blocks[self.boundary :].train(mode)
        return self

    @property
    def blocks(self) -> nn.ModuleList:
        return self.tower.layer  # type: ignore[no-any-return]

    def _norm(self, tokens: Tensor) -> Tensor:
        return self.tower.layernorm(tokens)  # type: ignore[no-any-return]
