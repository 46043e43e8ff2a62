"""ConsisID: films the person of a photo in another scene, as in the paper."""

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

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
from pvchat.synthesis.generators.face_conditioning import FaceConditioner, InsightFaceConditioner
from pvchat.synthesis.photos import photo_hash, require_face
from pvchat.synthesis.roles import Adapter, Frames, Made

VERSION = "1"
_PIPELINE = "ConsisIDPipeline"
_MODEL_FRAMES, _FPS = 49, 8.0  # what it was trained to make


class ConsisIDSynthesizer:
    """``folder`` holds BestWishYsh/ConsisID-preview. Needs 37 GB of GPU memory, 22 with ``offload: model``,
    5-7 with ``offload: sequential`` and tiling. Weights are loaded on first use."""

    def __init__(
        self,
        *,
        folder: str,
        num_steps: int = 50,
        guidance: float = 6.0,
        negative_prompt: str = "",
        placement: Placement | None = None,
        conditioner: FaceConditioner | None = None,
        faces: FaceAnalyzer | None = None,
    ) -> None:
        self.folder, self.num_steps, self.guidance = Path(folder), num_steps, guidance
        self.negative_prompt, self.placement = negative_prompt, placement or Placement()
        self.conditioner: FaceConditioner = conditioner or InsightFaceConditioner(
            folder=folder, placement=self.placement
        )
        self.faces = faces or FaceAnalyzer()

    @property
    def terms(self) -> Adapter:
        """See ``Adapter``."""
        return Adapter(
            f"ConsisID + {self.conditioner.name}",
            VERSION,
            f"Apache-2.0, weights CogVideoX licence; {self.conditioner.name}: {self.conditioner.licence}",
            commercial=False,  # nor may businesses use the CogVideoX weights without registering
            fingerprint="",
        )

    @cached_property
    def adapter(self) -> Adapter:
        """Its fingerprint is over the weights, so they must be there."""
        settings = (VERSION, self.num_steps, self.guidance, self.negative_prompt, self.placement.dtype)
        weights = folder_fingerprint(self.folder)
        fingerprint = digest_settings(settings, weights, self.conditioner.name, self.faces.fingerprint)
        return replace(self.terms, fingerprint=fingerprint)

    def film(self, photo: Frames, prompt: str, *, seed: int, num_frames: int = _MODEL_FRAMES) -> Made:
        """The first ``num_frames``, up to 49, of six seconds of the person of ``photo`` (H, W, 3) in the
        scene of ``prompt``. Raises UserError for a photo without one clear face."""
        if not 1 <= num_frames <= _MODEL_FRAMES:
            raise UserError(f"ConsisID makes 1 to {_MODEL_FRAMES} frames: got num_frames={num_frames}.")
        require_face(photo, self.faces)
        face = self.conditioner.condition(photo)
        with generating("ConsisID"):
            video = self._pipeline(
                image=face.aligned,
                prompt=prompt,
                negative_prompt=self.negative_prompt,
                height=None,  # of both: what the weights are for
                width=None,
                num_frames=_MODEL_FRAMES,
                num_inference_steps=self.num_steps,
                guidance_scale=self.guidance,
                use_dynamic_cfg=False,
                id_vit_hidden=face.hidden,
                id_cond=face.embedding,
                kps_cond=face.keypoints,
                generator=generator(seed),
                max_sequence_length=self._pipeline.transformer.config.max_text_seq_length,
                output_type="pil",
            ).frames[0]
        frames = as_frames(video[:num_frames])
        return Made(frames, _FPS, self.adapter, seed, prompt, (photo_hash(photo),))

    @cached_property
    def _pipeline(self) -> Any:
        return load_pipeline(_PIPELINE, self.folder, self.placement)
