"""ConsisID with small random weights whose identity path is alive."""

import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from adapter_contract import check_video_synthesizer
from PIL import Image

from pvchat.errors import UserError
from pvchat.faces import FaceAnalyzer
from pvchat.synthesis.generators.consisid import ConsisIDSynthesizer
from pvchat.synthesis.generators.diffusion import Placement
from pvchat.synthesis.generators.face_conditioning import FaceCondition, InsightFaceConditioner
from pvchat.synthesis.licences import check_commercial
from pvchat.synthesis.roles import Frames

CPU = Placement(device="cpu", dtype="float32")


class SmallConditioner:
    """A face as ConsisID's models describe it, from the embedding of the test's own analyzer."""

    name, licence, commercial = "small", "Apache-2.0", True

    def __init__(self, faces: FaceAnalyzer, *, aligned: Image.Image | None = None) -> None:
        self.faces, self.aligned = faces, aligned

    def condition(self, photo: Frames) -> FaceCondition:
        face = self.faces.detect(photo[None])[0][0]
        embedding = torch.from_numpy(self.faces.embed(photo, face))
        hidden = [torch.roll(embedding * 8, n).reshape(1, 8, 16) for n in range(5)]
        aligned = self.aligned or Image.fromarray(self.faces.crop(photo, face, 16))
        return FaceCondition(embedding[None, :8] * 8, hidden, aligned, face.landmarks)


def synthesizer(folder: Path, faces: FaceAnalyzer, **changes: Any) -> ConsisIDSynthesizer:
    settings = {"num_steps": 2, "placement": CPU, "conditioner": SmallConditioner(faces), **changes}
    return ConsisIDSynthesizer(folder=str(folder), faces=faces, **settings)


def test_contract_of_the_role(
    consisid_weights: Path, faces: FaceAnalyzer, photo: Frames, hopper: Frames
) -> None:
    small = synthesizer(consisid_weights, faces)
    check_video_synthesizer(small, photo, hopper, ("a man cooks", "a woman runs at night"))


def test_the_face_alone_changes_the_film(
    consisid_weights: Path, faces: FaceAnalyzer, photo: Frames, hopper: Frames
) -> None:
    """The first picture held fixed: what is left goes through the face extractor."""
    fixed = SmallConditioner(
        faces, aligned=Image.fromarray(faces.crop(photo, faces.detect(photo[None])[0][0], 16))
    )
    small = synthesizer(consisid_weights, faces, conditioner=fixed, guidance=1.0)
    own, other = (small.film(p, "a man", seed=1, num_frames=5).frames.astype(int) for p in (photo, hopper))
    assert np.abs(own - other).mean() > 1


def test_a_film_is_as_long_as_the_model_can(
    consisid_weights: Path, faces: FaceAnalyzer, photo: Frames
) -> None:
    small = synthesizer(consisid_weights, faces)
    for count in (0, 50):
        with pytest.raises(UserError, match=f"1 to 49 frames: got num_frames={count}"):
            small.film(photo, "a man", seed=0, num_frames=count)


def test_settings_and_weights_are_its_fingerprint(
    consisid_weights: Path, faces: FaceAnalyzer, tmp_path: Path
) -> None:
    def fingerprint(folder: Path, **changes: Any) -> str:
        return synthesizer(folder, faces, **changes).adapter.fingerprint

    own = fingerprint(consisid_weights)
    assert own == fingerprint(consisid_weights)
    assert own != fingerprint(consisid_weights, num_steps=3)
    other = tmp_path / "other"
    shutil.copytree(consisid_weights, other)
    assert own == fingerprint(other)
    weights = next(other.glob("transformer/*.safetensors"))
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert own != fingerprint(other)


def test_a_commercial_corpus_refuses_it(consisid_weights: Path, faces: FaceAnalyzer) -> None:
    whole = ConsisIDSynthesizer(folder=str(consisid_weights), placement=CPU, faces=faces)
    with pytest.raises(
        UserError, match=r"insightface antelopev2 .*: use MTCNN and the embedded face embedding"
    ):
        check_commercial([whole.adapter])
    with pytest.raises(UserError, match="CogVideoX licence"):
        check_commercial([synthesizer(consisid_weights, faces).adapter])


def test_its_own_face_models_are_called_as_diffusers_wants(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, photo: Frames, request: pytest.FixtureRequest
) -> None:
    """diffusers' helper is real, the three packages under it are stand-ins: each says what it was given."""
    helper = "diffusers.pipelines.consisid.consisid_utils"
    weights, packages = tmp_path / "weights", tmp_path / "packages"
    conditioner = InsightFaceConditioner(folder=str(weights), placement=CPU)
    with pytest.raises(UserError, match=r"face models must be in .*face_encoder"):
        conditioner.condition(photo)
    (weights / "face_encoder").mkdir(parents=True)
    with pytest.raises(UserError, match=r"need more packages .*insightface.*Install"):
        conditioner.condition(photo)
    for name, content in FACE_PACKAGES.items():
        (packages / name).parent.mkdir(parents=True, exist_ok=True)
        (packages / name).write_text(content)
    monkeypatch.syspath_prepend(packages)
    request.addfinalizer(
        lambda: [sys.modules.pop(n) for n in list(sys.modules) if n.startswith((helper, *STAND_INS))]
    )
    face = conditioner.condition(photo)
    assert face.embedding.shape == (1, 512 + 6)
    torch.testing.assert_close(face.embedding[0, :512], torch.full((512,), float(photo[..., 2].mean())))
    assert [state.shape for state in face.hidden] == [(1, 4, 3)] * 5
    assert face.aligned.size == (512, 512)
    np.testing.assert_array_equal(face.keypoints, np.arange(10).reshape(5, 2))
    with pytest.raises(UserError, match="must show a face that its own models find"):
        conditioner.condition(np.zeros((64, 64, 3), np.uint8))


STAND_INS = ("insightface", "consisid_eva_clip", "facexlib")
FACE_PACKAGES = {
    "insightface/__init__.py": "from . import app, model_zoo",
    "insightface/app.py": """
import numpy as np
class FaceAnalysis:
    def __init__(self, name, root, providers):
        assert name == "antelopev2" and root.endswith("face_encoder"), (name, root)
    def prepare(self, ctx_id, det_size): pass
    def get(self, bgr):
        if not bgr.any():
            return []
        kps = np.arange(10).reshape(5, 2)
        face = {"bbox": [0, 0, 1, 1], "embedding": np.full(512, bgr[..., 0].mean(), np.float32), "kps": kps}
        return [face]
""",
    "insightface/model_zoo.py": """
class Model:
    def prepare(self, ctx_id): pass
def get_model(path, providers): return Model()
""",
    "consisid_eva_clip/__init__.py": """
import torch
class Visual(torch.nn.Module):
    image_size, image_mean, image_std = 8, 0.5, 0.25
    def forward(self, x, return_all_features, return_hidden, shuffle):
        return torch.ones(1, 6), [torch.ones(1, 4, 3)] * 5
class Clip: visual = Visual()
def create_model_and_transforms(name, path, force_custom_clip): return Clip, None, None
""",
    "consisid_eva_clip/constants.py": "OPENAI_DATASET_MEAN = OPENAI_DATASET_STD = (0.5, 0.5, 0.5)",
    "facexlib/__init__.py": "",
    "facexlib/parsing.py": """
import torch
class Parser(torch.nn.Module):
    def forward(self, x): return [torch.zeros(1, 19, *x.shape[2:])]
def init_parsing_model(model_name, device, model_rootpath): return Parser()
""",
    "facexlib/utils/__init__.py": "",
    "facexlib/utils/face_restoration_helper.py": """
import numpy as np, torch
class FaceRestoreHelper:
    def __init__(self, **settings): self.face_det = torch.nn.Identity()
    def clean_all(self): self.cropped_faces, self.all_landmarks_5 = [], []
    def read_image(self, bgr): self.bgr = bgr
    def get_face_landmarks_5(self, only_center_face):
        if self.bgr.any():
            self.all_landmarks_5.append(np.zeros((5, 2)))
    def align_warp_face(self):
        self.cropped_faces += [np.full((512, 512, 3), 90, np.uint8) for _ in self.all_landmarks_5]
""",
}
