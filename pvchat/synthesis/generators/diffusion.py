"""Pipelines of diffusers: loaded from a folder, placed as there is memory for, known by their weights."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image

from pvchat.errors import UserError
from pvchat.synthesis.roles import Frames

_SAMPLE = 1 << 16  # bytes


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where a pipeline computes. ``offload`` keeps what is idle in main memory: whole networks (``model``)
    or single layers (``sequential``: least memory, slowest). ``tiling`` decodes frames in tiles."""

    device: str = "auto"
    dtype: Literal["float32", "bfloat16", "float16"] = "bfloat16"
    offload: Literal["none", "model", "sequential"] = "none"
    tiling: bool = False

    def __post_init__(self) -> None:
        if self.offload != "none" and self.where == "cpu":
            raise UserError(
                f"offload saves the memory of a GPU: got offload={self.offload} and no GPU. Set offload=none."
            )

    @property
    def where(self) -> str:
        return ("cuda" if torch.cuda.is_available() else "cpu") if self.device == "auto" else self.device

    @property
    def torch_dtype(self) -> torch.dtype:
        return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[self.dtype]


def load_pipeline(name: str, folder: Path, placement: Placement) -> Any:
    """The pipeline class ``name`` of diffusers with the weights of ``folder``, as ``save_pretrained`` and
    ``hf download`` write it. No code of the folder is executed, no pickle read. Raises UserError."""
    import diffusers

    index = folder / "model_index.json"
    try:
        found = json.loads(index.read_text())["_class_name"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"weights of {name} must be a folder with a model_index.json: {folder} is not ({error}). "
            "Download them with `hf download REPOSITORY --local-dir FOLDER`."
        ) from error
    if found != name:
        raise UserError(f"weights of {name} are needed: {folder} holds a {found}. Give another folder.")
    try:
        pipeline = getattr(diffusers, name).from_pretrained(
            folder, torch_dtype=placement.torch_dtype, local_files_only=True, use_safetensors=True
        )
        pipeline.set_progress_bar_config(disable=True)
        if placement.tiling:
            pipeline.vae.enable_tiling()
        if placement.offload == "model":
            pipeline.enable_model_cpu_offload(device=placement.where)
        elif placement.offload == "sequential":
            pipeline.enable_sequential_cpu_offload(device=placement.where)
        else:
            pipeline.to(placement.where)
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise UserError(
            f"weights of {name} must load: those of {folder} do not ({reason}). Download them again, or set "
            "offload where memory is short."
        ) from error
    return pipeline


@contextmanager
def generating(name: str) -> Iterator[None]:
    """Want of memory inside becomes a UserError; gradients are off."""
    try:
        with torch.inference_mode():
            yield
    except torch.OutOfMemoryError as error:
        raise UserError(
            f"{name} needs more memory than the GPU has. Set offload to model or sequential, and tiling."
        ) from error


def folder_fingerprint(folder: Path) -> str:
    """Names the weights of ``folder`` by names, sizes and samples from the start, middle and end of each
    file: to read them whole would take minutes, and training changes every part of a file."""
    if not folder.is_dir():
        raise UserError(f"weights must be a folder: {folder} is not. Download them first.")
    digest = hashlib.sha256()
    files = [p for p in sorted(folder.rglob("*")) if p.is_file()]
    for path in files:
        place = path.relative_to(folder)
        if any(part.startswith(".") for part in place.parts):
            continue  # what a downloader notes down
        size = path.stat().st_size
        digest.update(f"{place.as_posix()} {size}\n".encode())
        with path.open("rb") as file:
            for start in sorted({0, max(0, size // 2 - _SAMPLE // 2), max(0, size - _SAMPLE)}):
                file.seek(start)
                digest.update(file.read(_SAMPLE))
    return digest.hexdigest()[:16]


def digest_settings(*settings: object) -> str:
    return hashlib.sha256(repr(settings).encode()).hexdigest()[:16]


def as_frames(pictures: Sequence[Image.Image]) -> Frames:
    """(T, H, W, 3) uint8."""
    return np.stack([np.asarray(picture.convert("RGB")) for picture in pictures])


def generator(seed: int) -> torch.Generator:
    """Noise from the CPU, so that a seed means the same on every device."""
    return torch.Generator("cpu").manual_seed(seed)
