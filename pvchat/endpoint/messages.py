"""Messages as the chat completions API takes them; frames travel inside as JPEG data URLs."""

import base64
import io
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

Message = dict[str, Any]
_OVERHEAD = 64  # tokens a chat template may put around a message


def system(text: str) -> Message:
    return {"role": "system", "content": text}


def assistant(text: str) -> Message:
    return {"role": "assistant", "content": text}


def user(
    text: str, frames: Sequence[npt.NDArray[np.uint8]] | npt.NDArray[np.uint8] = (), *, max_px: int = 512
) -> Message:
    """``frames`` (H, W, 3) uint8 RGB come before the text, their longer side at most ``max_px``."""
    if not len(frames):
        return {"role": "user", "content": text}
    images = [{"type": "image_url", "image_url": {"url": data_url(f, max_px=max_px)}} for f in frames]
    return {"role": "user", "content": [*images, {"type": "text", "text": text}]}


def amended(messages: Sequence[Message], text: str) -> list[Message]:
    """``messages`` with ``text`` at the end of the last one, where many templates take no system message."""
    *before, last = messages
    content = last["content"]
    if isinstance(content, str):
        return [*before, {**last, "content": f"{content}\n\n{text}"}]
    return [*before, {**last, "content": [*content, {"type": "text", "text": text}]}]


def data_url(frame: npt.NDArray[np.uint8], *, max_px: int, quality: int = 85) -> str:
    """``frame`` (H, W, 3) uint8 RGB as ``data:image/jpeg;base64,..``; same frame, same text."""
    image = Image.fromarray(frame)
    image.thumbnail((max_px, max_px), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    image.save(file, format="jpeg", quality=quality)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"


def most_tokens(messages: Sequence[Message], *, tokens_per_image: int) -> int:
    """At least as many tokens as ``messages`` are: no tokenizer makes more of a text than it has bytes."""
    total = 0
    for message in messages:
        content = message["content"]
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        total += _OVERHEAD
        for part in parts:
            is_image = part["type"] == "image_url"
            total += tokens_per_image if is_image else len(json.dumps(part, ensure_ascii=False).encode())
    return total
