from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from skimage.data import astronaut
from sklearn.metrics import roc_auc_score

from pvchat.faces import SAME_PERSON, Face, FaceAnalyzer, Frame, blank, track


@pytest.fixture(scope="module")
def analyzer() -> FaceAnalyzer:
    return FaceAnalyzer()


@pytest.fixture(scope="module")
def portrait() -> Frame:
    return np.asarray(astronaut()[:400, 50:450])


def face_at(x: float, y: float, size: float = 10.0) -> Face:
    return Face(np.array([x, y, x + size, y + size], np.float32), np.zeros((5, 2), np.float32), 1.0)


def distance(analyzer: FaceAnalyzer, a: Frame, b: Frame) -> float:
    vectors = [analyzer.embed(f, analyzer.detect(f[None])[0][0]) for f in (a, b)]
    return float(np.linalg.norm(vectors[0] - vectors[1]))


def test_one_face_with_its_landmarks(analyzer: FaceAnalyzer, portrait: Frame) -> None:
    (face,) = analyzer.detect(portrait[None])[0]
    assert face.probability > 0.99
    x0, y0, x1, y1 = face.box
    left_eye, right_eye, nose, *_ = face.landmarks
    assert x0 < left_eye[0] < nose[0] < right_eye[0] < x1
    assert y0 < left_eye[1] < nose[1] < y1


def test_boxes_are_in_pixels_of_the_frame_at_any_size(analyzer: FaceAnalyzer, portrait: Frame) -> None:
    large = np.asarray(Image.fromarray(portrait).resize((1200, 1200)))  # searched at 640
    small, big = (analyzer.detect(f[None])[0][0] for f in (portrait, large))
    np.testing.assert_allclose(big.box, small.box * 3, atol=25)


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (19, 400), (2, 300), (100, 100)])
def test_frames_without_a_face(analyzer: FaceAnalyzer, size: tuple[int, int]) -> None:
    noise = np.random.randint(0, 256, (*size, 3), dtype=np.uint8)
    flat = np.full((*size, 3), 90, dtype=np.uint8)
    assert analyzer.detect(np.stack([noise, flat])) == [[], []]


def test_a_batch_may_mix_faces_and_none(analyzer: FaceAnalyzer, portrait: Frame) -> None:
    found = analyzer.detect(np.stack([portrait, np.zeros_like(portrait), portrait]))
    assert [len(f) for f in found] == [1, 0, 1]


@pytest.mark.parametrize("size", [24, 48, 150, 500])
def test_tight_crops_are_found(analyzer: FaceAnalyzer, portrait: Frame, size: int) -> None:
    x0, y0, x1, y1 = (int(v) for v in analyzer.detect(portrait[None])[0][0].box)
    tight = np.asarray(Image.fromarray(portrait[y0:y1, x0:x1]).resize((size, size)))
    (face, *_) = analyzer.detect(tight[None])[0]
    assert face.area > 0.4 * size**2


def test_embedding_keeps_the_person(analyzer: FaceAnalyzer, portrait: Frame) -> None:
    darker = (portrait * 0.6).astype(np.uint8)
    grey = np.repeat(portrait.mean(-1, keepdims=True).astype(np.uint8), 3, -1)
    assert distance(analyzer, portrait, portrait[:, ::-1]) < SAME_PERSON
    assert distance(analyzer, darker, grey) < SAME_PERSON


def test_embedding_is_deterministic(analyzer: FaceAnalyzer, portrait: Frame) -> None:
    assert distance(analyzer, portrait, portrait) == 0


def test_crop_is_square_and_centred_beyond_the_border(analyzer: FaceAnalyzer) -> None:
    frame = np.zeros((60, 80, 3), np.uint8)
    frame[:20, :20] = 200
    inside = analyzer.crop(frame, face_at(30, 30, 20), 16, 0.0)
    assert inside.shape == (16, 16, 3)
    assert inside.max() == 0
    corner = analyzer.crop(frame, face_at(0, 0, 20), 40, 0.5)  # 20 of the 40 pixels lie outside
    assert corner[:28, :28].min() == 200
    assert corner[32:].max() == 0


def test_blank_leaves_everything_else_untouched(analyzer: FaceAnalyzer, portrait: Frame) -> None:
    faces = analyzer.detect(portrait[None])[0]
    out = blank(portrait, faces)
    (x0, y0, x1, y1), changed = faces[0].box, np.argwhere((out != portrait).any(-1))
    (top, left), (bottom, right) = changed.min(0), changed.max(0)
    np.testing.assert_allclose([right - left, bottom - top], np.array([x1 - x0, y1 - y0]) * 1.25, atol=3)
    assert left < x0 < x1 < right
    assert len(np.unique(out[top : bottom + 1, left : right + 1].reshape(-1, 3), axis=0)) == 1
    assert analyzer.detect(out[None]) == [[]]


def test_blank_takes_the_colour_of_the_surroundings() -> None:
    frame = np.full((100, 100, 3), 30, np.uint8)
    frame[40:60, 40:60] = 250
    assert (blank(frame, [face_at(40, 40, 20)]) == 30).all()


def test_blank_of_a_face_that_fills_the_frame_keeps_no_tone_of_its_skin() -> None:
    frame = np.random.randint(0, 256, (30, 30, 3), dtype=np.uint8)
    assert (blank(frame, [face_at(-5, -5, 40)]) == 128).all()


def test_fingerprint_follows_the_settings() -> None:
    assert FaceAnalyzer().fingerprint == FaceAnalyzer().fingerprint
    assert FaceAnalyzer().fingerprint != FaceAnalyzer(min_probability=0.8).fingerprint


class TestTrack:
    ANN, BEN = np.eye(128, dtype=np.float32)[:2]

    def test_follows_one_person_past_a_larger_face(self) -> None:
        faces = [[face_at(0, 0, 30)], [face_at(0, 0, 40), face_at(50, 0, 31)], [face_at(9, 9, 30)]]
        slots = track(faces, [[self.ANN], [self.BEN, self.ANN], [self.ANN]], num_faces=1)
        assert slots == [[0], [1], [0]]

    def test_slots_belong_to_persons(self) -> None:
        faces = [[face_at(0, 0, 30), face_at(50, 0, 20)], [face_at(50, 0, 22), face_at(0, 0, 21)], []]
        slots = track(faces, [[self.ANN, self.BEN], [self.BEN, self.ANN], []], num_faces=2)
        assert slots == [[0, 1], [1, 0], [None, None]]

    def test_an_empty_place_goes_to_the_largest_other_face(self) -> None:
        faces = [[face_at(0, 0, 30)], [face_at(0, 0, 20), face_at(50, 0, 10)]]
        slots = track(faces, [[self.ANN], [self.BEN, self.BEN]], num_faces=1)
        assert slots == [[0], [0]]

    def test_nobody(self) -> None:
        assert track([[], []], [[], []], num_faces=2) == [[None, None], [None, None]]


def photos(media: Path) -> Iterator[tuple[str, Frame]]:
    for path in sorted([*media.glob("photos/*/*"), *media.glob("tv/*/*")]):
        image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
        image.thumbnail((640, 640))
        yield path.parent.name, np.asarray(image)


def test_real_people_are_told_apart(analyzer: FaceAnalyzer, media: Path) -> None:
    """All photos get a face, and photos of one person are closer than photos of two."""
    names, vectors = [], []
    for name, frame in photos(media):
        found = analyzer.detect(frame[None])[0]
        assert found, f"no face in a photo of {name}"
        names.append(name)
        vectors.append(analyzer.embed(frame, found[0]))
    pairs = list(combinations(range(len(names)), 2))
    same = [names[i] == names[j] for i, j in pairs]
    near = [-float(np.linalg.norm(vectors[i] - vectors[j])) for i, j in pairs]
    assert len(set(names)) == 10
    assert roc_auc_score(same, near) > 0.999


def test_groups_have_several_faces(analyzer: FaceAnalyzer, media: Path) -> None:
    counts = []
    for name in ("photos/together.jpg", "tv/scene3.jpg", "street/multiface.jpg"):
        counts.append(len(analyzer.detect(np.asarray(Image.open(media / name).convert("RGB"))[None])[0]))
    assert counts >= [2, 4, 5]
