from pathlib import Path

import numpy as np
import pytest

from pvchat.errors import UserError
from pvchat.faces import FaceAnalyzer
from pvchat.synthesis.identities import (
    APART,
    OTHER_PERSON,
    admiral,
    astronaut,
    embed_portrait,
    reshaped_people,
)
from pvchat.synthesis.portraits import Portrait, photo_portraits


@pytest.fixture(scope="module")
def faces() -> FaceAnalyzer:
    return FaceAnalyzer()


@pytest.fixture(scope="module")
def bases(faces: FaceAnalyzer) -> list[Portrait]:
    return [astronaut(faces), admiral(faces)]


def test_real_people_come_with_packages(bases: list[Portrait]) -> None:
    assert [p.person for p in bases] == ["astronaut", "admiral"]
    assert all(p.origin == "real" and "public domain" in p.licence for p in bases)


def test_reshaped_people_are_others(faces: FaceAnalyzer, bases: list[Portrait]) -> None:
    known = [embed_portrait(p, faces) for p in bases]
    limits = [(e, OTHER_PERSON) for e in known if e is not None]
    people = reshaped_people(bases, limits=limits, faces=faces, seed=0, count=2)
    vectors = [embed_portrait(p, faces) for p in people]
    assert [p.person for p in people] == ["stranger 1", "stranger 2"]
    for vector in vectors:
        assert vector is not None
        assert min(np.linalg.norm(vector - e) for e, _ in limits) > OTHER_PERSON
    assert vectors[0] is not None
    assert vectors[1] is not None
    assert np.linalg.norm(vectors[0] - vectors[1]) > APART


def test_too_many_people_are_refused(faces: FaceAnalyzer, bases: list[Portrait]) -> None:
    impossible = [(np.zeros(128, np.float32), 9.0)]
    with pytest.raises(UserError, match=r"1 people unlike the subjects were wanted: 0 of 12 tries"):
        reshaped_people(bases[:1], limits=impossible, faces=faces, seed=0, count=1)


def test_photos_with_several_people(media: Path, faces: FaceAnalyzer) -> None:
    with pytest.raises(UserError, match=r"one person: together.jpg shows \d+ faces"):
        photo_portraits(media / "photos" / "together.jpg", faces=faces, person="x")
