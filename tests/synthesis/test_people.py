"""Faces become persons, and the one that is meant is chosen."""

from pathlib import Path

import numpy as np
import pytest

from pvchat.datamodules.video import decode
from pvchat.faces import Face, FaceAnalyzer, Vector
from pvchat.synthesis.people import Person, Sighting, choose, group, sightings
from pvchat.synthesis.portraits import FaceChoiceError

ANN, BOB = np.zeros(128, np.float32), np.full(128, 0.08, np.float32)  # .9 apart


def seen(frame: int, who: Vector, *, x: float = 0, size: float = 40, noise: float = 0.01) -> Sighting:
    rng = np.random.default_rng([frame, int(x)])
    box = np.array([x, 0, x + size, size], np.float32)
    vector = (who + rng.normal(0, noise, 128)).astype(np.float32)
    return Sighting(frame, Face(box, np.zeros((5, 2), np.float32), 1.0), vector)


def frames_of(people: list[Person]) -> list[list[int]]:
    return [[s.frame for s in p.sightings] for p in people]


def test_two_people_are_told_apart_wherever_they_stand() -> None:
    """They change places half-way: the embedding tells, not the place."""
    ann = [seen(t, ANN, x=0 if t < 5 else 200, size=60) for t in range(10)]
    bob = [seen(t, BOB, x=200 if t < 5 else 0) for t in range(8)]
    people = group([s for pair in zip(ann, [*bob, *bob[:2]], strict=True) for s in pair][:18])
    assert len(people) == 2
    assert all(np.linalg.norm(s.embedding - ANN) < 0.3 for s in people[0].sightings)
    assert all(np.linalg.norm(s.embedding - BOB) < 0.3 for s in people[1].sightings)


def test_a_single_odd_face_is_nobody() -> None:
    people = group([seen(t, ANN) for t in range(6)] + [seen(3, BOB, x=99)])
    assert frames_of(people) == [[0, 1, 2, 3, 4, 5]]


def test_few_and_scattered_faces_are_grouped_laxly_and_then_as_one() -> None:
    apart = np.zeros(128, np.float32)
    apart[0] = 0.5
    assert frames_of(group([seen(0, ANN, noise=0), seen(1, apart, noise=0)])) == [[0, 1]]
    assert frames_of(group([seen(0, ANN), seen(1, BOB)])) == [[0, 1]]


def test_faces_of_one_frame_are_never_one_person() -> None:
    """As in a photo of twins, or of two people in one photo."""
    people = group([seen(0, ANN, x=0, noise=0), seen(0, ANN, x=100, size=50, noise=0)])
    assert sorted(p.x for p in people) == [20, 125]
    assert group([]) == []


def two() -> list[Person]:
    left = [seen(t, ANN, x=0, size=50) for t in range(4)]
    return group(left + [seen(t, BOB, x=300, size=40) for t in range(4)])


def test_who_is_meant() -> None:
    people = two()
    assert choose(people[:1], "a.mp4") is people[0]
    assert choose(people, "a.mp4", face=1).x < choose(people, "a.mp4", face=2).x
    assert choose(people, "a.mp4", like=[BOB]).x > 300
    large = group([seen(t, ANN, size=90) for t in range(4)] + [seen(t, BOB, x=300) for t in range(4)])
    assert choose(large, "a.mp4").x < 100


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "a reference must show one person: a.mp4 shows 2 about equally. Choose with --face N (1-2"),
        ({"face": 3}, "--face counts the people from left to right, from 1: got 3, and a.mp4 shows 2"),
        ({"like": [np.full(128, 1.0, np.float32)]}, "--like must show somebody who is in a.mp4"),
    ],
)
def test_refusals(options: dict[str, object], said: str) -> None:
    with pytest.raises(FaceChoiceError) as refused:
        choose(two(), "a.mp4", **options)  # type: ignore[arg-type]
    assert said in str(refused.value)
    with pytest.raises(FaceChoiceError, match=r"none was found in b\.mp4"):
        choose([], "b.mp4")


def test_real_people(media: Path) -> None:
    """A man alone is one person; in a scene with several, a photo finds who is meant."""
    faces = FaceAnalyzer()
    alone = group(sightings(decode(media / "talking" / "d3.mp4", num_frames=6).frames, faces))
    assert len(alone) == 1
    assert len(alone[0].sightings) >= 4  # turned away in the others
    scene = group(sightings(decode(media / "photos" / "together.jpg", num_frames=1).frames, faces))
    assert len(scene) >= 2
    obama = sightings(decode(sorted((media / "photos" / "obama").iterdir())[0], num_frames=1).frames, faces)
    biden = sightings(decode(sorted((media / "photos" / "biden").iterdir())[0], num_frames=1).frames, faces)
    chosen = [choose(scene, "together.jpg", like=[s.embedding for s in who]) for who in (obama, biden)]
    assert chosen[0] is not chosen[1]
