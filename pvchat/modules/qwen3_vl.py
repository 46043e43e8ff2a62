"""The vision tower of Qwen3-VL (Bai et al. 2025) as a frozen video encoder."""

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from pvchat.errors import UserError
from pvchat.modules.tubelet_encoder import TubeletEncoder, load_tower


class Qwen3VL(TubeletEncoder):
    """Videos (N, T, 3, H, W) -> merged tokens (N, ceil(T / 2) * (H / 32)^2, D), those that its language model
    reads: two frames are one tubelet, frames of different tubelets do not see each other, and 2 x 2 patches
    are merged into a token.

    ``source`` is a folder or a hub id of a whole Qwen3-VL, of which the tower alone is loaded, or of a tower.
    Frames are squares of ``image_px``, any multiple of 32. DeepStack's tokens of earlier blocks, which
    Qwen3-VL adds inside its language model, are left out, since a Q-former has no place for them."""

    def __init__(
        self, *, source: str, image_px: int = 224, dtype: Literal["float32", "bfloat16"] = "bfloat16"
    ) -> None:
        from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLVisionModel

        tower, processor = load_tower(
            source,
            Qwen3VLVisionModel,
            ("qwen3_vl", "qwen3_vl_vision"),
            getattr(torch, dtype),
            key_mapping={r"^model\.visual\.": ""},
        )
        config = tower.config
        merged_px = config.patch_size * config.spatial_merge_size
        if image_px < merged_px or image_px % merged_px:
            raise UserError(
                f"image_px must be a multiple of {merged_px}, the side of a merged patch: got {image_px}."
            )
        tower.deepstack_merger_list = None
        super().__init__(
            tower=tower,
            processor=processor,
            width=config.out_hidden_size,
            image_px=image_px,
            num_frames=config.temporal_patch_size,
            frames_per_tubelet=config.temporal_patch_size,
            tokens_per_tubelet=(image_px // merged_px) ** 2,
        )

    def tokens(self, pixels: Tensor) -> Tensor:
        tower = self.tower
        video = pixels.reshape(-1, self.frames_per_tubelet, *pixels.shape[2:])  # (N * t, 2, 3, H, W)
        patches = tower.patch_embed.proj(video.transpose(1, 2).to(tower.dtype)).squeeze(2)  # (N * t, D, h, w)
        side = patches.shape[-1]
        x = (patches + self._positions(side).to(patches)).flatten(2).transpose(1, 2)  # row by row
        rows, columns = torch.meshgrid(*[torch.arange(side, device=x.device)] * 2, indexing="ij")
        rotation = tower.rotary_pos_emb(x, torch.stack([rows.flatten(), columns.flatten()], -1))
        for block in tower.blocks:
            x = x + _attend(block.attn, block.norm1(x), *rotation)
            x = x + block.mlp(block.norm2(x))
        merge = tower.spatial_merge_size
        squares = x.unflatten(1, (side // merge, merge, side // merge, merge)).transpose(2, 3).flatten(1, 4)
        return tower.merger(squares).unflatten(0, (len(pixels), -1))  # type: ignore[no-any-return]

    def _positions(self, side: int) -> Tensor:
        """The learned square of positions at ``side`` patches a side: (1, D, side, side) float32."""
        tower = self.tower
        learned = tower.pos_embed.weight.float().unflatten(0, (tower.num_grid_per_side, -1)).permute(2, 0, 1)
        return F.interpolate(learned[None], (side, side), mode="bilinear", align_corners=True)


def _attend(attention: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Attention among the patches of each tubelet (B, L, D). Transformers' own takes all tubelets in one row
    and cuts it at places that it reads off the device."""
    from transformers.models.qwen3_vl.modeling_qwen3_vl import apply_rotary_pos_emb_vision

    q, k, v = attention.qkv(x).unflatten(-1, (3, attention.num_heads, -1)).unbind(2)  # (B, L, H, d)
    q, k = apply_rotary_pos_emb_vision(q, k, cos, sin)
    q, k, v = (t.transpose(1, 2) for t in (q, k, v))
    heads = F.scaled_dot_product_attention(q, k, v)
    return attention.proj(heads.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]
