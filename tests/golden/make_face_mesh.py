"""What LiteRT computes with the networks of the face-mesh asset, for tests/assets/test_tflite.py.

pip install ai-edge-litert; python tests/golden/make_face_mesh.py FOLDER_OF_TFLITE_FILES
"""

import sys
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from skimage.data import astronaut


def run(path: Path, image: np.ndarray) -> list[np.ndarray]:
    interpreter = Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image[None].astype(np.float32) / 255)
    interpreter.invoke()
    return [interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()]


folder = Path(sys.argv[1])
mesh, sure = run(folder / "face_landmark.tflite", astronaut()[30:222, 130:322])
(outline,) = run(folder / "selfie_segmentation.tflite", astronaut()[::2, ::2])
np.savez(
    Path(__file__).with_name("face_mesh.npz"),
    mesh=mesh.ravel(),
    sure=sure.ravel(),
    outline=outline[0, ::4, ::4, 0],
)
