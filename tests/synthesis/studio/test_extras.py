import numpy as np
import pytest

from pvchat.faces import FaceAnalyzer
from pvchat.synthesis.identities import APART, OTHER_PERSON
from pvchat.synthesis.studio.actors import Actor
from pvchat.synthesis.studio.extras import face_of, package_actors, reshaped_actors

pytestmark = pytest.mark.slow


def test_reshaped_people_are_others_in_the_same_surroundings() -> None:
    faces = FaceAnalyzer()
    bases = package_actors()[:2]
    subject = Actor("tom", "tom", bases[1].photo)
    made = reshaped_actors([subject], faces=faces, seed=0, count=2, bases=bases)
    again = reshaped_actors([subject], faces=faces, seed=0, count=2, bases=bases)
    assert [m.person for m in made] == ["stranger 1", "stranger 2"]
    assert all(np.array_equal(a.photo, b.photo) for a, b in zip(made, again, strict=True))
    looks = [face_of(a, faces) for a in (*made, *bases)]
    first, second, *known = (e for e in looks if e is not None)
    assert np.linalg.norm(first - second) > APART
    for face in (first, second):
        assert np.linalg.norm(face - known[0]) > APART
        assert np.linalg.norm(face - known[1]) > OTHER_PERSON
    changed = np.abs(made[0].photo.astype(int) - bases[0].photo).max(-1) > 8
    assert changed[90:150, 200:245].mean() > 0.3  # the face
    assert not changed[300:].any()  # not the chest
