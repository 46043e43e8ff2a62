"""Questions about a clip answered in words: by a model behind an endpoint, or by one loaded here."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import Any, Literal

import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from pvchat.datamodules.video import sample_indices
from pvchat.endpoint import Endpoint, system, user
from pvchat.errors import UserError
from pvchat.synthesis.roles import Adapter, Frames

_VERSION = "captioning-1"
_PROMPT = (
    "The pictures are frames of one video clip, in order. Answer the question about the clip in one to three "
    "plain sentences, and say only what can be seen."
)


class EndpointCaptioner:
    """Sends ``num_frames`` evenly spread frames as JPEG, their longer side at most ``max_px``, to a model
    that sees. ``licence`` and ``commercial`` are for the user to say: they are terms of the endpoint."""

    def __init__(
        self,
        *,
        endpoint: Endpoint,
        num_frames: int = 8,
        max_px: int = 512,
        licence: str = "terms of the endpoint",
        commercial: bool = False,
    ) -> None:
        self.endpoint, self.num_frames, self.max_px = endpoint, num_frames, max_px
        settings = [_VERSION, _PROMPT, endpoint.model, endpoint.temperature, num_frames, max_px]
        self.adapter = Adapter("endpoint", endpoint.model, licence, commercial, _digest(settings))

    def check(self) -> None:
        """Raises UserError where nobody answers at the endpoint."""
        self.endpoint.check()

    def caption(self, frames: Frames, question: str) -> str:
        """``frames`` (T, H, W, 3) uint8 RGB. Raises UserError when no answer can be had."""
        shown = _spread(frames, self.num_frames)
        messages = [system(_PROMPT), user(question, shown, max_px=self.max_px)]
        return self.endpoint.ask(messages, version=_VERSION)


class LocalCaptioner:
    """Any image-text model of transformers (Qwen3-VL, InternVL, ..) from a folder or hub id, loaded on first
    use; it sees ``num_frames`` evenly spread frames as pictures and answers greedily. No code of the
    checkpoint is executed. ``licence`` and ``commercial`` are those of its weights."""

    def __init__(
        self,
        *,
        source: str,
        num_frames: int = 8,
        max_px: int = 512,
        max_new_tokens: int = 128,
        dtype: Literal["auto", "float32", "bfloat16"] = "auto",
        device: str = "auto",
        licence: str = "terms of the weights",
        commercial: bool = False,
    ) -> None:
        self.source, self.num_frames, self.max_px = source, num_frames, max_px
        self.max_new_tokens, self.dtype = max_new_tokens, dtype
        self.device = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        self._licence, self._commercial = licence, commercial

    @property
    def terms(self) -> Adapter:
        """See ``Adapter``."""
        return Adapter("transformers", "", self._licence, self._commercial, fingerprint="")

    @cached_property
    def adapter(self) -> Adapter:
        """Its fingerprint is over the weights, so they are loaded."""
        settings = [_VERSION, _PROMPT, self.num_frames, self.max_px, self.max_new_tokens, self.dtype]
        digest = hashlib.sha256(_digest(settings).encode())
        for name, weight in sorted(self._model.state_dict().items()):
            digest.update(name.encode())
            digest.update(weight.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
        version = self._model.config.model_type
        return replace(self.terms, version=version, fingerprint=digest.hexdigest())

    def check(self) -> None:
        """Raises UserError for a checkpoint that is not there."""
        _ = self._processor

    @torch.inference_mode()
    def caption(self, frames: Frames, question: str) -> str:
        """``frames`` (T, H, W, 3) uint8 RGB. Raises UserError for weights that cannot be loaded and for an
        answer that is empty."""
        content: list[dict[str, Any]] = []
        for frame in _spread(frames, self.num_frames):
            picture = Image.fromarray(frame)
            picture.thumbnail((self.max_px, self.max_px), Image.Resampling.BICUBIC)
            content.append({"type": "image", "image": picture})
        content.append({"type": "text", "text": f"{_PROMPT}\n{question}"})
        inputs = self._processor.apply_chat_template(
            [{"role": "user", "content": content}],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        ).to(self.device, self._model.dtype)
        ids = self._model.generate(**inputs, max_new_tokens=self.max_new_tokens, do_sample=False)
        answer = self._processor.decode(ids[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        if not answer.strip():
            raise UserError(f"{self.source} gives no answer to {question!r}. Choose another captioner.")
        return str(answer.strip())

    @cached_property
    def _model(self) -> Any:
        dtype = self.dtype if self.dtype == "auto" else getattr(torch, self.dtype)
        with _loading(self.source):
            model: Any = AutoModelForImageTextToText.from_pretrained(self.source, dtype=dtype)
        return model.requires_grad_(False).to(self.device).train(False)

    @cached_property
    def _processor(self) -> Any:
        with _loading(self.source):
            return AutoProcessor.from_pretrained(self.source)  # type: ignore[no-untyped-call]


@contextmanager
def _loading(source: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, KeyError, ImportError) as error:
        reason = " ".join(str(error).split())[:300]
        raise UserError(
            f"a captioner is a model of transformers that takes pictures, with its processor: {source} "
            f"cannot be loaded ({reason}). Give the folder of such a checkpoint."
        ) from error


def _spread(frames: Frames, count: int) -> Frames:
    """Up to ``count`` of ``frames``, evenly spread: fewer where there are fewer."""
    return frames[sample_indices(len(frames), min(count, len(frames)), "middle")]


def _digest(settings: list[Any]) -> str:
    return hashlib.sha256(repr(settings).encode()).hexdigest()
