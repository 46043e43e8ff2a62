"""LivePortrait, which moves the person of a photo as in the paper, in an environment of its own.

Motions are the parametric ones of the default animator: no driving video is needed."""

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from pvchat.assets import ASSETS
from pvchat.errors import UserError
from pvchat.faces import FaceAnalyzer
from pvchat.synthesis.animation.face_mesh import CHIN, FaceMesh
from pvchat.synthesis.animation.motion_library import CHANNELS, MotionLibrary
from pvchat.synthesis.generators.diffusion import digest_settings, folder_fingerprint
from pvchat.synthesis.generators.worker import Worker, script_command
from pvchat.synthesis.photos import photo_hash, require_face
from pvchat.synthesis.roles import Adapter, Frames, Made

Array = npt.NDArray[np.float64]

VERSION = "1"
_BROWS, _EYES, _MOUTH = (105, 334), (33, 133, 362, 263), (61, 291)
_CROP_PX, _SCALE, _UP = 512, 2.3, 0.125  # of the crops it was trained on


class LivePortraitAnimator:
    """``python`` is that of the environment of the checkout ``folder`` (KwaiVGI/LivePortrait), which has its
    weights in pretrained_weights. Its insightface detector, which is not for commercial use, is
    replaced by ours."""

    def __init__(
        self,
        *,
        python: str,
        folder: str,
        device: Literal["cuda", "cpu"] = "cuda",
        half: bool = True,
        startup_timeout_s: float = 600.0,
        request_timeout_s: float = 600.0,
        library: MotionLibrary | None = None,
        faces: FaceAnalyzer | None = None,
        mesh: FaceMesh | None = None,
    ) -> None:
        self.folder = Path(folder)
        self.library = MotionLibrary() if library is None else library
        self.faces, self.mesh = faces or FaceAnalyzer(), mesh or FaceMesh()
        self._settings = {"folder": str(self.folder.absolute()), "device": device, "half": half}
        self.worker = Worker(
            name="LivePortrait",
            command=script_command(python, "liveportrait_child.py", self._settings),
            startup_timeout_s=startup_timeout_s,
            request_timeout_s=request_timeout_s,
        )

    @property
    def terms(self) -> Adapter:
        """See ``Adapter``."""
        return Adapter("LivePortrait", VERSION, "MIT", commercial=True, fingerprint="")

    @cached_property
    def adapter(self) -> Adapter:
        """Its fingerprint is over the weights, so they must be there."""
        weights = folder_fingerprint(self.folder / "pretrained_weights" / "liveportrait")
        fingerprint = digest_settings(
            (VERSION, self._settings["device"], self._settings["half"], weights),
            (self.faces.fingerprint, ASSETS["face-mesh"].key),
            sorted(self.library.motions.items()),
        )
        return replace(self.terms, fingerprint=fingerprint)

    def animate(self, photo: Frames, motion: str, *, seed: int, num_frames: int, fps: float) -> Made:
        """Frames like ``photo`` (H, W, 3) in which the person does ``motion``. Raises UserError for an
        unknown motion and for a photo without one clear face."""
        curves = self.library.curves(motion, seed=seed, num_frames=num_frames, fps=fps)
        face = require_face(photo, self.faces)
        (landmarks,), (sure,) = self.mesh.locate(photo[None], face)
        if sure < 0.5:
            raise UserError(
                f"a face that is to move must look towards the camera: this one is clear to {100 * sure:.0f} "
                "%. Give a photo that is more frontal."
            )
        _, (frames,) = self.worker.ask(
            {"channels": CHANNELS},
            [photo, crop_to_photo(landmarks[:, :2]), curves.values],
            [((num_frames, *photo.shape), "uint8")],
        )
        return Made(frames, fps, self.adapter, seed, motion, (photo_hash(photo),))


def crop_to_photo(landmarks: Array) -> Array:
    """Map (3, 3) from the pixels of LivePortrait's crop to those of the photo with ``landmarks`` (468, 2): an
    upright square 2.3 times as large as the face from brows to chin, a little higher."""
    eyes, mouth = landmarks[list(_EYES)].mean(0), landmarks[list(_MOUTH)].mean(0)
    down = (mouth - eyes) / np.linalg.norm(mouth - eyes)
    axes = np.stack([np.array([down[1], -down[0]]), down])  # rows: right, down
    upright = landmarks @ axes.T
    below_brows = upright[upright[:, 1] >= upright[list(_BROWS), 1].min()]
    low, high = below_brows.min(0), np.maximum(below_brows.max(0), upright[CHIN])
    side = float((high - low).max()) * _SCALE
    centre = (low + high) / 2 - [0, _UP * side]
    to_photo = np.eye(3)
    to_photo[:2, :2] = axes.T * side / _CROP_PX
    to_photo[:2, 2] = axes.T @ (centre - side / 2)
    return to_photo
