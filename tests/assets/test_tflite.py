from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.data import astronaut

from pvchat.assets import asset
from pvchat.assets.tflite import _operation, _Table, read_tflite
from pvchat.errors import UserError
from pvchat.synthesis.animation.graph_network import GraphNetwork

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "face_mesh.npz")


def image(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255


def test_landmarks_are_those_of_the_original_runtime() -> None:
    mesh, sure = GraphNetwork(asset("face-mesh"), "face_landmark")(image(astronaut()[30:222, 130:322]))
    np.testing.assert_allclose(mesh.ravel(), GOLDEN["mesh"], atol=2e-3)  # pixels of 192
    np.testing.assert_allclose(sure.ravel(), GOLDEN["sure"], atol=1e-3)


def test_outline_is_that_of_the_original_runtime() -> None:
    (outline,) = GraphNetwork(asset("face-mesh"), "selfie_segmentation")(image(astronaut()[::2, ::2]))
    np.testing.assert_allclose(outline[0, 0, ::4, ::4], GOLDEN["outline"], atol=1e-3)
    assert 0.2 < float(outline.mean()) < 0.8


def test_unknown_operation_is_refused() -> None:
    with pytest.raises(UserError, match=r"known operations: got number 99 "):
        _operation(99, "", _Table(bytes(8), 4), [])


def test_absent_fields_have_defaults() -> None:
    # a model table whose vtable has no fields at all, and the offset to it
    data = (8).to_bytes(4, "little") + b"\x04\x00\x04\x00" + (4).to_bytes(4, "little")
    table = _Table(data, 8)
    assert table.number(0, default=7) == 7
    assert table.array(3, np.int32).size == 0
    assert table.tables(2) == []


@pytest.mark.parametrize("content", [b"", b"not a model at all"])
def test_other_files_are_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.tflite"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"a\.tflite is not"):
        read_tflite(path)
