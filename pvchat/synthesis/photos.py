"""What every generator asks of a photo, and the name it goes by in the history of what is made."""

import hashlib
from pathlib import Path

import numpy as np

from pvchat.errors import UserError
from pvchat.faces import Face, FaceAnalyzer
from pvchat.synthesis.portraits import choose_face
from pvchat.synthesis.roles import Frames


def photo_hash(photo: Frames) -> str:
    """Names the pixels of ``photo``."""
    digest = hashlib.sha256(repr(photo.shape).encode())
    digest.update(np.ascontiguousarray(photo).tobytes())
    return digest.hexdigest()[:16]


def require_face(photo: Frames, faces: FaceAnalyzer) -> Face:
    """The one clear face of ``photo`` (H, W, 3) uint8 RGB. Raises UserError."""
    if photo.ndim != 3 or photo.shape[2] != 3 or photo.dtype != np.uint8:
        raise UserError(f"a photo must be (H, W, 3) uint8: got {photo.shape} {photo.dtype}.")
    return choose_face(faces.detect(photo[None])[0], Path("the photo"))
