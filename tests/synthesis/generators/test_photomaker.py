"""PhotoMaker's adapter and its script, in a real process over a stand-in for the public checkout."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from adapter_contract import check_image_synthesizer
from generator_checkouts import PHOTOMAKER, make_checkout

from pvchat.errors import UserError
from pvchat.faces import FaceAnalyzer
from pvchat.synthesis.generators.photomaker import PhotoMaker, with_trigger
from pvchat.synthesis.licences import check_commercial
from pvchat.synthesis.roles import Frames


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, faces: FaceAnalyzer) -> dict[str, Any]:
    folder = make_checkout(tmp_path_factory.mktemp("PhotoMaker"), PHOTOMAKER)
    (folder / "sdxl").mkdir()
    (folder / "v2").mkdir()
    weights = folder / "v2" / "photomaker-v2.bin"
    torch.save({"id_encoder": {"gain": torch.tensor(1.0)}, "lora_weights": {}}, weights)
    places = {"folder": str(folder), "base": str(folder / "sdxl"), "weights": str(weights)}
    return {
        **places,
        "python": sys.executable,
        "device": "cpu",
        "width_px": 64,
        "height_px": 48,
        "faces": faces,
    }


@pytest.fixture(scope="module")
def maker(settings: dict[str, Any]) -> Iterator[PhotoMaker]:
    maker = PhotoMaker(**settings)
    yield maker
    maker.worker.close()


@pytest.mark.slow
def test_contract_of_the_role(maker: PhotoMaker, photo: Frames, hopper: Frames) -> None:
    check_image_synthesizer(maker, photo, hopper, ("A woman cooks.", "A woman runs at night."))


@pytest.mark.slow
def test_what_insightface_does_not_find_is_refused_and_it_goes_on(maker: PhotoMaker, photo: Frames) -> None:
    blue = photo.copy()
    blue[..., 2] = 255
    with pytest.raises(UserError, match=r"PhotoMaker refuses .* none of the photos shows a face"):
        maker.draw([blue], "A woman cooks.", seed=0)
    assert maker.draw([photo, blue], "A woman cooks.", seed=0).frames.shape == (1, 48, 64, 3)


def test_a_face_that_would_never_be_used_is_refused(settings: dict[str, Any]) -> None:
    PhotoMaker(**settings, num_steps=12, start_merge_step=10)
    with pytest.raises(UserError, match=r"got start_merge_step=10, num_steps=11\. Take more steps"):
        PhotoMaker(**settings, num_steps=11, start_merge_step=10)


def test_the_trigger_follows_the_person() -> None:
    assert with_trigger("A young Woman, a chef, and a man.") == "A young Woman img, a chef, and a man."
    assert with_trigger("Cooking at night.") == "A person img. Cooking at night."


def test_a_commercial_corpus_refuses_it(maker: PhotoMaker) -> None:
    with pytest.raises(UserError, match=r"PhotoMaker V2 \+ insightface .*: use MTCNN"):
        check_commercial([maker.adapter])


def test_weights_must_be_there(settings: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"must be a file: .*none\.bin is not"):
        _ = PhotoMaker(**{**settings, "weights": str(tmp_path / "none.bin")}).adapter
