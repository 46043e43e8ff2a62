"""Qwen-Image-Edit with small random weights, loaded by the real code."""

from pathlib import Path
from typing import Any

import pytest
from adapter_contract import check_image_synthesizer

from pvchat.errors import UserError
from pvchat.faces import FaceAnalyzer
from pvchat.synthesis.generators.diffusion import Placement
from pvchat.synthesis.generators.image_edit import QwenImageEditor
from pvchat.synthesis.licences import check_commercial
from pvchat.synthesis.roles import Frames

CPU = Placement(device="cpu", dtype="float32")


@pytest.fixture
def small_photos(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pipeline shows photos to its networks at a size of its own, which would take minutes here."""
    from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit_plus as module

    monkeypatch.setattr(module, "VAE_IMAGE_SIZE", 32 * 32)
    monkeypatch.setattr(module, "CONDITION_IMAGE_SIZE", 64 * 64)


def editor(folder: Path, faces: FaceAnalyzer, **changes: Any) -> QwenImageEditor:
    settings = {"num_steps": 2, "width_px": 48, "height_px": 32, "placement": CPU, **changes}
    return QwenImageEditor(folder=str(folder), faces=faces, **settings)


@pytest.mark.usefixtures("small_photos")
def test_contract_of_the_role(qwen_weights: Path, faces: FaceAnalyzer, photo: Frames, hopper: Frames) -> None:
    small = editor(qwen_weights, faces)
    check_image_synthesizer(small, photo, hopper, ("She cooks in a kitchen.", "He runs at night."))
    assert small.draw([photo], "She cooks.", seed=0).frames.shape == (1, 32, 48, 3)
    check_commercial([small.adapter])


def test_numbers_of_photos(qwen_weights: Path, faces: FaceAnalyzer, photo: Frames) -> None:
    for count in (0, 4):
        with pytest.raises(UserError, match=f"1 to 3 photos: got {count}"):
            editor(qwen_weights, faces).draw([photo] * count, "She cooks.", seed=0)


def test_size_is_part_of_the_fingerprint(qwen_weights: Path, faces: FaceAnalyzer) -> None:
    wide = editor(qwen_weights, faces, width_px=64)
    assert wide.adapter.fingerprint != editor(qwen_weights, faces).adapter.fingerprint
