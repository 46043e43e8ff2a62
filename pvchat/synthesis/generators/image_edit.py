"""Qwen-Image-Edit: shows the person of some photos in another scene, without a face network."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from PIL import Image

from pvchat.errors import UserError
from pvchat.faces import FaceAnalyzer
from pvchat.synthesis.generators.diffusion import (
    Placement,
    as_frames,
    digest_settings,
    folder_fingerprint,
    generating,
    generator,
    load_pipeline,
)
from pvchat.synthesis.photos import photo_hash, require_face
from pvchat.synthesis.roles import Adapter, Frames, Made

VERSION = "1"
_PIPELINE = "QwenImageEditPlusPipeline"
_MOST_PHOTOS = 3  # as it was trained
_ASK = "Show the person of the reference picture in this scene: {}"


class QwenImageEditor:
    """The maintained substitute for PhotoMaker. ``folder`` holds Qwen/Qwen-Image-Edit-2509 or a later one of
    its kind; pictures have ``width_px`` x ``height_px``. Weights are loaded on first use."""

    def __init__(
        self,
        *,
        folder: str,
        num_steps: int = 40,
        guidance: float = 4.0,
        negative_prompt: str = " ",
        width_px: int = 1024,
        height_px: int = 1024,
        placement: Placement | None = None,
        faces: FaceAnalyzer | None = None,
    ) -> None:
        self.folder, self.num_steps, self.guidance = Path(folder), num_steps, guidance
        self.negative_prompt, self.width_px, self.height_px = negative_prompt, width_px, height_px
        self.placement, self.faces = placement or Placement(), faces or FaceAnalyzer()

    @property
    def terms(self) -> Adapter:
        """See ``Adapter``."""
        return Adapter("Qwen-Image-Edit", VERSION, "Apache-2.0", commercial=True, fingerprint="")

    @cached_property
    def adapter(self) -> Adapter:
        """Its fingerprint is over the weights, so they must be there."""
        settings = (VERSION, _ASK, self.num_steps, self.guidance, self.negative_prompt, self.placement.dtype)
        size, weights = (self.width_px, self.height_px), folder_fingerprint(self.folder)
        fingerprint = digest_settings(settings, size, weights, self.faces.fingerprint)
        return replace(self.terms, fingerprint=fingerprint)

    def draw(self, photos: Sequence[Frames], prompt: str, *, seed: int) -> Made:
        """One frame of the person of 1 to 3 ``photos`` (H, W, 3) in the scene of ``prompt``. Raises UserError
        for a photo without one clear face."""
        if not 1 <= len(photos) <= _MOST_PHOTOS:
            raise UserError(f"Qwen-Image-Edit takes 1 to {_MOST_PHOTOS} photos: got {len(photos)}.")
        for photo in photos:
            require_face(photo, self.faces)
        with generating("Qwen-Image-Edit"):
            pictures = self._pipeline(
                image=[Image.fromarray(photo) for photo in photos],
                prompt=_ASK.format(prompt),
                negative_prompt=self.negative_prompt,
                true_cfg_scale=self.guidance,
                num_inference_steps=self.num_steps,
                width=self.width_px,
                height=self.height_px,
                generator=generator(seed),
                output_type="pil",
            ).images
        inputs = tuple(photo_hash(photo) for photo in photos)
        return Made(as_frames(pictures), 1.0, self.adapter, seed, prompt, inputs)

    @cached_property
    def _pipeline(self) -> Any:
        return load_pipeline(_PIPELINE, self.folder, self.placement)
