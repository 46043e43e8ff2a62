"""PhotoMaker V2, which shows the person of some photos in another scene as in the paper, in an environment of
its own: it is published in git alone and does not import with a current diffusers."""

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pvchat.errors import UserError
from pvchat.faces import FaceAnalyzer
from pvchat.synthesis.generators.diffusion import digest_settings, folder_fingerprint
from pvchat.synthesis.generators.worker import Worker, script_command
from pvchat.synthesis.photos import photo_hash, require_face
from pvchat.synthesis.roles import Adapter, Frames, Made

VERSION = "1"
_TRIGGER = "img"
_CLASS_WORD = re.compile(r"\b(man|woman|boy|girl|person)\b", re.IGNORECASE)


class PhotoMaker:
    """``python`` is that of the environment of the checkout ``folder`` (TencentARC/PhotoMaker); ``base`` is a
    folder of Stable Diffusion XL weights, ``weights`` the file photomaker-v2.bin, alone in its folder, and
    ``insightface`` the folder of insightface's models. ``offload`` saves GPU memory."""

    def __init__(
        self,
        *,
        python: str,
        folder: str,
        base: str,
        weights: str,
        insightface: str = "~/.insightface",
        num_steps: int = 50,
        start_merge_step: int = 10,
        guidance: float = 5.0,
        negative_prompt: str = "painting, drawing, cartoon, blurred, deformed",
        width_px: int = 1024,
        height_px: int = 1024,
        device: Literal["cuda", "cpu"] = "cuda",
        offload: bool = False,
        startup_timeout_s: float = 900.0,
        request_timeout_s: float = 600.0,
        faces: FaceAnalyzer | None = None,
    ) -> None:
        # the step after start_merge_step is the first that sees the face
        if not 0 <= start_merge_step < num_steps - 1:
            raise UserError(
                "PhotoMaker uses the photos only after start_merge_step, which must be below num_steps - 1: "
                f"got start_merge_step={start_merge_step}, num_steps={num_steps}. Take more steps."
            )
        self.base, self.weights, self.faces = Path(base), Path(weights), faces or FaceAnalyzer()
        self.width_px, self.height_px = width_px, height_px
        self._sampling = {
            "num_steps": num_steps,
            "start_merge_step": start_merge_step,
            "guidance": guidance,
            "negative_prompt": negative_prompt,
            "width_px": width_px,
            "height_px": height_px,
            "device": device,
            "trigger": _TRIGGER,
        }
        places: dict[str, Any] = {
            "folder": str(Path(folder).absolute()),
            "base": str(self.base.absolute()),
            "weights": str(self.weights.absolute()),
            "faces": str(Path(insightface).expanduser()),
            "offload": offload,
        }
        self.worker = Worker(
            name="PhotoMaker",
            command=script_command(python, "photomaker_child.py", {**self._sampling, **places}),
            startup_timeout_s=startup_timeout_s,
            request_timeout_s=request_timeout_s,
        )

    @property
    def terms(self) -> Adapter:
        """See ``Adapter``."""
        return Adapter(
            "PhotoMaker V2 + insightface buffalo_l",
            VERSION,
            "Apache-2.0, base OpenRAIL++; insightface: models for non-commercial research only",
            commercial=False,
            fingerprint="",
        )

    @cached_property
    def adapter(self) -> Adapter:
        """Its fingerprint is over the weights, so they must be there."""
        if not self.weights.is_file():
            raise UserError(f"PhotoMaker's weights must be a file: {self.weights} is not. Download it first.")
        weights = folder_fingerprint(self.base), folder_fingerprint(self.weights.parent)
        settings = sorted(self._sampling.items())
        fingerprint = digest_settings(VERSION, settings, weights, self.faces.fingerprint)
        return replace(self.terms, fingerprint=fingerprint)

    def draw(self, photos: Sequence[Frames], prompt: str, *, seed: int) -> Made:
        """One frame of the person of ``photos`` (H, W, 3) in the scene of ``prompt``. Raises UserError for a
        photo without one clear face."""
        if not photos:
            raise UserError("PhotoMaker takes photos of the person: got none.")
        for photo in photos:
            require_face(photo, self.faces)
        _, (frames,) = self.worker.ask(
            {"prompt": with_trigger(prompt), "seed": seed},
            list(photos),
            [((1, self.height_px, self.width_px, 3), "uint8")],
        )
        return Made(frames, 1.0, self.adapter, seed, prompt, tuple(photo_hash(p) for p in photos))


def with_trigger(prompt: str) -> str:
    """``prompt`` with the trigger word behind the first word that says what the person is."""
    if not _CLASS_WORD.search(prompt):
        prompt = f"A person. {prompt}"
    return _CLASS_WORD.sub(rf"\1 {_TRIGGER}", prompt, count=1)
