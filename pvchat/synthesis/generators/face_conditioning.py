"""What ConsisID must know of a face, and the models of diffusers' helper that tell it."""

from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from pvchat.errors import UserError
from pvchat.synthesis.generators.diffusion import Placement
from pvchat.synthesis.roles import Frames


@dataclass(frozen=True)
class FaceCondition:
    """Of one face: ``embedding`` (1, D), five ``hidden`` states (1, N, C) of a vision transformer, the
    ``aligned`` face as a picture, and five ``keypoints`` (5, 2) in its pixels."""

    embedding: Tensor
    hidden: list[Tensor]
    aligned: Image.Image
    keypoints: npt.NDArray[np.float32]


class FaceConditioner(Protocol):
    """Turns a photo into a ``FaceCondition``. ``name``, ``licence`` and ``commercial`` are as in Adapter."""

    name: str
    licence: str
    commercial: bool

    def condition(self, photo: Frames) -> FaceCondition:
        """Of the face of ``photo`` (H, W, 3). Raises UserError."""
        ...


class InsightFaceConditioner:
    """ConsisID's own face models, in ``folder``/face_encoder beside its weights: insightface antelopev2,
    EVA02-CLIP and facexlib. diffusers' helper puts insightface on the CUDA device, whatever is set here."""

    name = "insightface antelopev2"
    licence = "models for non-commercial research only"
    commercial = False

    def __init__(self, *, folder: str, placement: Placement | None = None) -> None:
        self.folder, self.placement = Path(folder), placement or Placement()

    @torch.inference_mode()
    def condition(self, photo: Frames) -> FaceCondition:
        """Raises UserError for missing packages or models and for a photo without a face."""
        helper, models = self._models
        try:
            # by keyword: the two helpers order these differently
            embedding, hidden, aligned, keypoints = helper.process_face_embeddings_infer(
                **models,
                device=self.placement.where,
                weight_dtype=self.placement.torch_dtype,
                img_file_path=np.ascontiguousarray(photo),
                is_align_face=True,
            )
        except (RuntimeError, IndexError) as error:  # facexlib finds nothing to align, or lists no landmarks
            if isinstance(error, torch.OutOfMemoryError):
                raise
            raise UserError(
                f"a photo for ConsisID must show a face that its own models find: they do not ({error}). "
                "Choose a photo in which the face is larger or less turned away."
            ) from error
        return FaceCondition(embedding, list(hidden), aligned, np.asarray(keypoints, np.float32))

    @cached_property
    def _models(self) -> tuple[Any, dict[str, Any]]:
        if not (self.folder / "face_encoder").is_dir():
            raise UserError(
                f"ConsisID's face models must be in {self.folder / 'face_encoder'}: there is no such folder. "
                "Download it with the weights."
            )
        try:
            helper: Any = import_module("diffusers.pipelines.consisid.consisid_utils")
        except ImportError as error:
            raise UserError(
                f"ConsisID's face models need more packages ({error}). Install insightface, onnxruntime-gpu, "
                "consisid_eva_clip and facexlib, or use another generator: insightface's models are not for "
                "commercial use."
            ) from error
        loaded = helper.prepare_face_models(
            model_path=str(self.folder), device=self.placement.where, dtype=self.placement.torch_dtype
        )
        names = ("face_helper_1", "face_helper_2", "clip_vision_model", "app")
        return helper, dict(
            zip((*names, "eva_transform_mean", "eva_transform_std"), loaded, strict=True),
        )
