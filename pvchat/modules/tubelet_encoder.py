"""Video encoders of transformers whose tokens are tubelets: a patch of several frames is one token."""

import hashlib
from abc import abstractmethod
from collections.abc import Callable
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from pvchat.errors import UserError
from pvchat.modules.video_encoder import VideoEncoder
from pvchat.modules.weightless import weightless


class TubeletEncoder(VideoEncoder):
    """``tower`` reads squares of ``image_px``, normalised by ``processor``, in tubelets of
    ``frames_per_tubelet`` frames, each of which gives ``tokens_per_tubelet`` tokens of ``width``.

    Where frames do not fill the last tubelet its last frame is repeated, so an image is a still video.
    Everything is frozen but what ``late_parameters`` names. ``processor`` is transformers' own."""

    tower: Any
    num_late_blocks = 0
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        *,
        tower: nn.Module,
        processor: Any,
        width: int,
        image_px: int,
        num_frames: int,
        frames_per_tubelet: int,
        tokens_per_tubelet: int,
    ) -> None:
        super().__init__()
        self.tower = tower.requires_grad_(False).eval()
        self.width, self.image_px, self.num_frames = width, image_px, num_frames
        self.frames_per_tubelet, self.tokens_per_tubelet = frames_per_tubelet, tokens_per_tubelet
        for name, values in (("mean", processor.image_mean), ("std", processor.image_std)):
            self.register_buffer(name, torch.tensor(values).view(3, 1, 1), persistent=False)

    @abstractmethod
    def tokens(self, pixels: Tensor) -> Tensor:
        """Normalised pixels (N, T, 3, H, W), T a multiple of the tubelet -> tokens (N, L, D)."""

    def num_tokens(self, num_frames: int) -> int:
        return -(-num_frames // self.frames_per_tubelet) * self.tokens_per_tubelet

    @torch.no_grad()
    def embed(self, video: Tensor) -> Tensor:
        self.check(video)
        pixels = (video.to(self.mean) / 255 - self.mean) / self.std
        missing = -video.shape[1] % self.frames_per_tubelet
        pixels = torch.cat([pixels, pixels[:, -1:].expand(-1, missing, -1, -1, -1)], 1)
        return self.tokens(pixels)

    def finish(self, tokens: Tensor) -> Tensor:
        return tokens

    def late_parameters(self) -> list[nn.Parameter]:
        return []

    def train(self, mode: bool = True) -> "TubeletEncoder":
        super().train(mode)
        self.tower.eval()  # frozen: its dropout must stay off
        return self

    @cached_property
    def fingerprint(self) -> str:
        late = {id(parameter) for parameter in self.late_parameters()}
        settings = (type(self).__name__, 1, self.image_px, self.num_late_blocks)
        digest = hashlib.sha256(repr((*settings, self.mean.tolist(), self.std.tolist())).encode())
        for name, parameter in self.named_parameters():
            if id(parameter) not in late:
                digest.update(name.encode())
                digest.update(parameter.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
        return digest.hexdigest()[:16]


def load_tower(
    source: str, model_class: Any, kinds: tuple[str, ...], dtype: torch.dtype, **options: Any
) -> tuple[Any, Any]:
    """Model and video processor of ``source``, a folder or a hub id of one of the model types ``kinds``.
    Without weights where none are wanted. Raises UserError."""
    from transformers import AutoVideoProcessor, PretrainedConfig

    def read(part: Callable[[], Any]) -> Any:
        try:
            return part()
        except (OSError, ValueError) as error:
            raise UserError(
                f"cannot load the video encoder {source!r}: {str(error).splitlines()[0]} Give a hub id or a "
                "folder with config, safetensors and video_preprocessor_config.json."
            ) from error

    kind = read(lambda: PretrainedConfig.get_config_dict(source)[0].get("model_type"))
    if kind not in kinds:
        raise UserError(f"the encoder's source must be of type {' or '.join(kinds)}: {source!r} is {kind!r}.")
    processor = read(lambda: AutoVideoProcessor.from_pretrained(source))  # type: ignore[no-untyped-call]
    if weightless():
        config = model_class.config_class.from_pretrained(source)
        return model_class._from_config(config, dtype=dtype), processor
    model, found = read(
        lambda: model_class.from_pretrained(source, dtype=dtype, output_loading_info=True, **options)
    )
    if missing := sorted(found["missing_keys"]):
        raise UserError(
            f"the encoder's source must hold all its weights: {source!r} lacks {len(missing)}, such as "
            f"{missing[0]}. Download it again."
        )
    return model, processor
