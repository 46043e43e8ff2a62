"""What pictures are compared by: the face, or what CLIP sees of it."""

import hashlib
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image

from pvchat.errors import UserError
from pvchat.faces import EMBEDDING_WIDTH, FaceAnalyzer, Vector
from pvchat.synthesis.gallery.pictures import Frames


class Embedder(Protocol):
    """Vectors (``width``,) of faces. Distances are 1 - cosine where ``cosine`` is true, else L2;
    ``fingerprint`` names weights and settings, ``licence`` is that of the weights."""

    @property
    def width(self) -> int: ...
    @property
    def cosine(self) -> bool: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def licence(self) -> str: ...

    def embed(self, frames: Frames) -> list[Vector]:
        """One vector for each face of each of ``frames`` (T, H, W, 3), the largest of a frame first."""
        ...


class FaceEmbedder:
    """Identity: the embedding of ``faces``, compared by L2."""

    width, cosine = EMBEDDING_WIDTH, False
    licence = "dlib: CC0-1.0"

    def __init__(self, *, faces: FaceAnalyzer) -> None:
        self.faces, self.fingerprint = faces, f"face {faces.fingerprint}"

    def embed(self, frames: Frames) -> list[Vector]:
        found = self.faces.detect(frames)
        return [self.faces.embed(frame, f) for frame, some in zip(frames, found, strict=True) for f in some]


class CLIPEmbedder:
    """Looks, as in the paper: the image tower of open_clip's ``name`` on a square around each face,
    ``margin`` of the face added on every side. ``pretrained`` is a tag of open_clip or a file of weights.

    Likeness to CLIP is not identity: leave the subject out by a face embedding."""

    cosine = True

    def __init__(
        self,
        *,
        faces: FaceAnalyzer,
        name: str = "ViT-B-32",
        pretrained: str = "openai",
        margin: float = 0.5,
        device: str = "cpu",
    ) -> None:
        self.faces, self.name, self.pretrained = faces, name, pretrained
        self.margin, self.device = margin, device
        self.licence = f"open_clip {name} {pretrained}: as its publisher says"

    @property
    def width(self) -> int:
        with torch.no_grad():
            return int(self._encode([np.zeros((8, 8, 3), np.uint8)]).shape[1])

    @cached_property
    def fingerprint(self) -> str:
        seen = hashlib.sha256()
        for name, tensor in self._model[0].visual.state_dict().items():
            seen.update(name.encode())
            seen.update(tensor.cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
        settings = (1, self.name, self.margin, str(self._model[1]), self.faces.fingerprint)
        seen.update(repr(settings).encode())
        return f"clip {seen.hexdigest()[:16]}"

    def embed(self, frames: Frames) -> list[Vector]:
        found = self.faces.detect(frames)
        size = 224  # the transform of the model does the rest
        crops = [
            self.faces.crop(frame, face, size, self.margin)
            for frame, some in zip(frames, found, strict=True)
            for face in some
        ]
        return list(self._encode(crops)) if crops else []

    @torch.no_grad()
    def _encode(self, crops: list[Frames]) -> Vector:
        model, transform = self._model
        pixels = torch.stack([transform(Image.fromarray(crop)) for crop in crops])
        vectors = torch.nn.functional.normalize(model.encode_image(pixels.to(self.device)).float(), dim=-1)
        return vectors.cpu().numpy()

    @cached_property
    def _model(self) -> tuple[Any, Any]:
        import open_clip  # type: ignore[import-untyped]

        try:
            model, _, transform = open_clip.create_model_and_transforms(
                self.name, pretrained=self.pretrained, device=self.device
            )
        except (OSError, RuntimeError) as error:
            raise UserError(
                f"cannot make the open_clip model {self.name!r} ({self.pretrained!r}): "
                f"{str(error).splitlines()[0]} See open_clip.list_pretrained(), or name a file of weights."
            ) from error
        return model.eval(), transform
