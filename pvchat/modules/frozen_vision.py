"""Image encoders of other libraries, frozen: transformers, timm and open_clip, by name.

Patch tokens of the last block, average-pooled to a grid. Nothing of them is trained, so a new one needs a
subclass of a dozen lines: load, and turn pixels into patch tokens.
"""

import hashlib
from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pvchat.errors import UserError
from pvchat.modules.vision import VisionEncoder


class FrozenVision(VisionEncoder):
    """``tower`` looks at squares of ``image_px``, normalised by ``mean`` and ``std``; its tokens are of
    ``width``. Frames are squashed to the square; tokens are pooled to ``grid`` x ``grid``."""

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        *,
        tower: nn.Module,
        width: int,
        image_px: int,
        grid: int,
        mean: Sequence[float],
        std: Sequence[float],
    ) -> None:
        super().__init__()
        if grid < 1:
            raise UserError(f"grid must be >= 1: got {grid}.")
        self.tower = tower.requires_grad_(False).eval()
        self.width, self.image_px, self.grid = width, image_px, grid
        self.boundary_tokens = self.tokens_per_image = grid * grid
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)

    @abstractmethod
    def patches(self, pixels: Tensor) -> Tensor:
        """Normalised pixels (N, 3, H, W) -> tokens (N, L, D), those of the patches last, row by row."""

    @torch.no_grad()
    def embed(self, frames: Tensor) -> Tensor:
        size = (self.image_px, self.image_px)
        pixels = F.interpolate(frames.to(self.mean) / 255, size, mode="bilinear", antialias=True)
        tokens = self.patches((pixels - self.mean) / self.std)
        side = int(tokens.shape[1] ** 0.5)  # class and register tokens come first
        if side % self.grid:
            raise UserError(
                f"grid must divide the {side} patches of a side ({self.image_px} px): got {self.grid}."
            )
        images = tokens[:, -side * side :].transpose(1, 2).reshape(len(tokens), -1, side, side)
        return F.avg_pool2d(images, side // self.grid).flatten(2).transpose(1, 2)

    def finish(self, tokens: Tensor) -> Tensor:
        return tokens

    def late_parameters(self) -> list[nn.Parameter]:
        return []

    def train(self, mode: bool = True) -> "FrozenVision":
        super().train(mode)
        self.tower.eval()  # frozen: its dropout must stay off
        return self

    @cached_property
    def fingerprint(self) -> str:
        settings = (type(self).__name__, 1, self.image_px, self.grid, self.mean.tolist(), self.std.tolist())
        digest = hashlib.sha256(repr(settings).encode())
        for name, tensor in self.tower.state_dict().items():
            digest.update(name.encode())
            digest.update(tensor.cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
        return digest.hexdigest()[:16]


class TransformersVision(FrozenVision):
    """SigLIP and SigLIP 2, DINOv2, DINOv3, CLIP and others: ``source`` is a folder or a hub id of a model
    that AutoModel loads, alone or as the vision half of two. NaFlex variants, which read packed patches of
    any shape, are refused."""

    def __init__(self, *, source: str, image_px: int | None = None, grid: int = 4) -> None:
        from transformers import AutoImageProcessor, AutoModel

        try:
            model = AutoModel.from_pretrained(source)
            pixels = AutoImageProcessor.from_pretrained(source)  # type: ignore[no-untyped-call]
        except (OSError, ValueError) as error:
            raise UserError(
                f"cannot load the vision encoder {source!r}: {str(error).splitlines()[0]} Give a hub id or a "
                "folder with config, safetensors and preprocessor_config.json."
            ) from error
        tower: Any = getattr(model, "vision_model", model)
        if not hasattr(tower.config, "image_size"):
            raise UserError(
                f"an image encoder must read squares of one size: {source!r} ({tower.config.model_type}) "
                "does not. Of SigLIP 2 take a variant with a size, such as google/siglip2-base-patch16-224."
            )
        super().__init__(
            tower=tower,
            width=tower.config.hidden_size,
            image_px=image_px or tower.config.image_size,
            grid=grid,
            mean=pixels.image_mean,
            std=pixels.image_std,
        )
        if self.image_px != tower.config.image_size:
            self._more = {"interpolate_pos_encoding": True}
        else:
            self._more = {}

    def patches(self, pixels: Tensor) -> Tensor:
        return self.tower(pixel_values=pixels, **self._more).last_hidden_state  # type: ignore[no-any-return]


class TimmVision(FrozenVision):
    """A vision transformer of timm by ``name``; ``pretrained`` fetches its weights from the hub."""

    def __init__(self, *, name: str, pretrained: bool = True, grid: int = 4) -> None:
        import timm
        from timm.data.config import resolve_model_data_config

        try:
            tower = timm.create_model(name, pretrained=pretrained, num_classes=0)
        except (OSError, RuntimeError) as error:
            raise UserError(
                f"cannot make the timm model {name!r}: {str(error).splitlines()[0]} See timm.list_models()."
            ) from error
        about = resolve_model_data_config(tower)  # type: ignore[no-untyped-call]
        super().__init__(
            tower=tower,
            width=int(tower.num_features),  # type: ignore[arg-type]
            image_px=about["input_size"][-1],
            grid=grid,
            mean=about["mean"],
            std=about["std"],
        )

    def patches(self, pixels: Tensor) -> Tensor:
        return self.tower.forward_features(pixels)  # type: ignore[no-any-return, operator]


class OpenCLIPVision(FrozenVision):
    """The image tower of open_clip's ``name``; ``pretrained`` is a tag of open_clip or a file, None for
    random weights."""

    def __init__(self, *, name: str, pretrained: str | None, grid: int = 4) -> None:
        import open_clip  # type: ignore[import-untyped]

        try:
            tower = open_clip.create_model(name, pretrained=pretrained).visual
        except (OSError, RuntimeError) as error:
            raise UserError(
                f"cannot make the open_clip model {name!r} ({pretrained!r}): {str(error).splitlines()[0]} "
                "See open_clip.list_pretrained()."
            ) from error
        size = tower.image_size
        super().__init__(
            tower=tower,
            width=tower.conv1.out_channels if hasattr(tower, "conv1") else tower.trunk.num_features,
            image_px=size[0] if isinstance(size, tuple) else size,
            grid=grid,
            mean=tower.image_mean or open_clip.OPENAI_DATASET_MEAN,
            std=tower.image_std or open_clip.OPENAI_DATASET_STD,
        )

    def patches(self, pixels: Tensor) -> Tensor:
        found = self.tower.forward_intermediates(  # type: ignore[operator]
            pixels, indices=1, normalize_intermediates=True, intermediates_only=True, output_fmt="NLC"
        )
        return found["image_intermediates"][-1]  # type: ignore[no-any-return]
