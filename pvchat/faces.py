"""Faces: where they are, whose they look like, crops, and painting them over."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from pvchat.assets import ASSETS, asset

Frame = npt.NDArray[np.uint8]
Vector = npt.NDArray[np.float32]
EMBEDDING_WIDTH = 128
HEAD = 2.0  # head over face box: hair and ears are the person, too, not a leak of the data
GREY = 128
DOUBTFUL = 0.7  # the control paints over doubtful faces too: a missed one would leak the answer
SAME_PERSON = 0.55
"""L2 distance of two embeddings under which they are taken for one person (.6 is usual and too lax)."""


@dataclass(frozen=True)
class Face:
    """``box`` (4,) is x0, y0, x1, y1 and ``landmarks`` (5, 2) are eyes, nose and mouth corners, in pixels."""

    box: Vector
    landmarks: Vector
    probability: float

    @property
    def area(self) -> float:
        return float((self.box[2] - self.box[0]) * (self.box[3] - self.box[1]))


class FaceAnalyzer:
    """Detects faces (MTCNN) and describes them (dlib's 128-d embedding); always on the CPU.

    Frames larger than ``detect_px`` are searched at that size. Where no face is found with
    ``min_probability``, the frame is searched once more as if it were a tight crop of a face: shrunk or
    enlarged to ``crop_px``, inside a grey border. Nets are loaded on first use."""

    def __init__(self, *, min_probability: float = 0.9, detect_px: int = 640, crop_px: int = 160) -> None:
        self.min_probability, self.detect_px, self.crop_px = min_probability, detect_px, crop_px

    def __getstate__(self) -> dict[str, Any]:
        """Nets are loaded anew in another process: not all of them can go there."""
        return {k: v for k, v in vars(self).items() if k not in ("_mtcnn", "_dlib")}

    @property
    def fingerprint(self) -> str:
        """Names the weights and settings that boxes and embeddings depend on."""
        weights = f"facenet-pytorch {version('facenet-pytorch')}, {ASSETS['face-embedding'].key}"
        settings = (1, self.min_probability, self.detect_px, self.crop_px)
        return hashlib.sha256(repr((weights, settings)).encode()).hexdigest()[:16]

    def detect(self, frames: Frame, *, min_probability: float | None = None) -> list[list[Face]]:
        """Faces of each of ``frames`` (T, H, W, 3) uint8 RGB, the largest first."""
        least = self.min_probability if min_probability is None else min_probability
        found = []
        for frame in frames:
            longest = max(frame.shape[:2])
            faces = self._search(frame, min(1.0, self.detect_px / longest), border=0.0)
            if not any(f.probability >= self.min_probability for f in faces):
                faces += self._search(frame, self.crop_px / longest, border=0.25)
            faces = [f for f in faces if f.probability >= least]
            found.append(sorted(faces, key=lambda f: -f.area))
        return found

    def embed(self, frame: Frame, face: Face) -> Vector:
        """Embedding (128,) of one face; the L2 distance between photos of one person is mostly < .55."""
        import dlib

        # the shape predictor expects a square from the brows to the chin
        x0, y0, x1, y1 = face.box
        half, x, y = (x1 - x0 + y1 - y0) / 4, (x0 + x1) / 2, (y0 + y1) / 2
        corners = [round(float(v)) for v in (x - half, y - half, x + half, y + half)]
        predictor, network = self._dlib
        frame = np.ascontiguousarray(frame)
        shape = predictor(frame, dlib.rectangle(*corners))
        return np.asarray(network.compute_face_descriptor(frame, shape), dtype=np.float32)

    def crop(self, frame: Frame, face: Face, size: int, margin: float = 0.25) -> Frame:
        """Square crop (size, size, 3) around the face, ``margin`` of the box added on every side."""
        x0, y0, x1, y1 = (float(v) for v in face.box)
        x, y, half = (x0 + x1) / 2, (y0 + y1) / 2, max(x1 - x0, y1 - y0) * (0.5 + margin)
        reach = math.ceil(max(0, half - x, half - y, x + half - frame.shape[1], y + half - frame.shape[0]))
        padded = np.pad(frame, ((reach, reach), (reach, reach), (0, 0)), mode="edge")
        square = (x - half + reach, y - half + reach, x + half + reach, y + half + reach)
        image = Image.fromarray(padded).resize((size, size), Image.Resampling.BICUBIC, box=square)
        return np.asarray(image)

    def blank_heads(self, frames: Frame) -> Frame:
        """``frames`` with the heads painted over; where none was found, the places of the nearest frame that
        has some."""
        found = self.detect(frames, min_probability=DOUBTFUL)
        some = [t for t, faces in enumerate(found) if faces]
        nearest = [min(some, key=lambda s: abs(s - t), default=t) for t in range(len(frames))]
        return np.stack(
            [blank(frame, found[s], enlarge=HEAD) for frame, s in zip(frames, nearest, strict=True)]
        )

    @cached_property
    def _mtcnn(self) -> Any:
        from facenet_pytorch import MTCNN

        return MTCNN(keep_all=True, device="cpu")

    @cached_property
    def _dlib(self) -> tuple[Any, Any]:
        import dlib

        folder = asset("face-embedding")
        return (
            dlib.shape_predictor(str(folder / "shape_predictor_5_face_landmarks.dat")),
            dlib.face_recognition_model_v1(str(folder / "dlib_face_recognition_resnet_model_v1.dat")),
        )

    def _search(self, frame: Frame, scale: float, border: float) -> list[Face]:
        height, width = (max(1, round(n * scale)) for n in frame.shape[:2])
        image = np.asarray(Image.fromarray(frame).resize((width, height), Image.Resampling.BICUBIC))
        pad = round(border * max(height, width))
        image = np.pad(image, ((pad, pad), (pad, pad), (0, 0)), constant_values=128)
        if min(image.shape[:2]) < self._mtcnn.min_face_size:
            return []  # MTCNN's image pyramid would be empty, which it does not survive
        boxes, probabilities, landmarks = self._mtcnn.detect(image, landmarks=True)
        if boxes is None:
            return []
        limit = np.array([frame.shape[1], frame.shape[0]] * 2, dtype=np.float32)
        faces = []
        for box, probability, points in zip(boxes, probabilities, landmarks, strict=True):
            box = np.clip((box.astype(np.float32) - pad) / scale, 0, limit)
            faces.append(Face(box, (points.astype(np.float32) - pad) / scale, float(probability)))
        return [f for f in faces if f.area > 0]


def blank(frame: Frame, faces: Sequence[Face], *, enlarge: float = 1.25) -> Frame:
    """``frame`` with each face box, ``enlarge`` times as wide and high, filled with the mean colour of a
    ring around it, or grey where there is none; every pixel outside these boxes is left as it is."""
    out = frame.copy()
    for face in faces:
        inner, outer = _scaled(face.box, enlarge, frame), _scaled(face.box, enlarge * 1.5, frame)
        ring = np.zeros(frame.shape[:2], dtype=bool)
        ring[outer] = True
        ring[inner] = False
        # a head that fills the frame has no surroundings; the mean of the frame would keep the tone of skin
        out[inner] = np.round(frame[ring].mean(0)).astype(np.uint8) if ring.any() else GREY
    return out


def track(
    faces: Sequence[Sequence[Face]], embeddings: Sequence[Sequence[Vector]], *, num_faces: int
) -> list[list[int | None]]:
    """Which face of each frame fills each of ``num_faces`` slots (None: nobody).

    Faces of all frames are grouped into persons by their embeddings, at most one face of a frame in each
    group; the persons with the largest faces in sum own the slots. Places their owners leave empty go to
    the frame's largest other faces, so that a face turned away is not lost."""
    people: list[list[tuple[int, int]]] = []
    anchors: list[Vector] = []
    order = [(t, i) for t, found in enumerate(faces) for i in range(len(found))]
    for t, i in sorted(order, key=lambda at: -faces[at[0]][at[1]].area):
        distances = [
            float(np.linalg.norm(anchor - embeddings[t][i]))
            if all(t != taken for taken, _ in person)
            else np.inf
            for person, anchor in zip(people, anchors, strict=True)
        ]
        nearest = int(np.argmin(distances)) if distances else -1
        if nearest >= 0 and distances[nearest] < SAME_PERSON:
            people[nearest].append((t, i))
        else:  # the largest, clearest face of a person describes that person
            people.append([(t, i)])
            anchors.append(embeddings[t][i])
    people.sort(key=lambda person: -sum(faces[t][i].area for t, i in person))
    slots: list[list[int | None]] = [[None] * num_faces for _ in faces]
    for slot, person in enumerate(people[:num_faces]):
        for t, i in person:
            slots[t][slot] = i
    for t, found in enumerate(faces):
        others = [i for i in range(len(found)) if i not in slots[t]]
        for slot in range(num_faces):
            if slots[t][slot] is None and others:
                slots[t][slot] = others.pop(0)
    return slots


def _scaled(box: Vector, factor: float, frame: Frame) -> tuple[slice, slice]:
    """Rows and columns of ``box`` grown about its centre by ``factor``, inside the frame."""
    (x0, y0, x1, y1), (height, width) = box, frame.shape[:2]
    x, y, half_w, half_h = (x0 + x1) / 2, (y0 + y1) / 2, (x1 - x0) / 2 * factor, (y1 - y0) / 2 * factor
    rows = slice(max(0, int(np.floor(y - half_h))), min(height, int(np.ceil(y + half_h))))
    return rows, slice(max(0, int(np.floor(x - half_w))), min(width, int(np.ceil(x + half_w))))
