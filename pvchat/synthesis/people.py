"""Who is in a clip or in photos: faces grouped into persons, and the one that is meant chosen."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.cluster import DBSCAN

from pvchat.faces import SAME_PERSON, Face, FaceAnalyzer, Vector
from pvchat.synthesis.likeness import ONE_SUBJECT, distance
from pvchat.synthesis.portraits import FaceChoiceError

Frames = npt.NDArray[np.uint8]
GROUPING = ((0.45, 3), (SAME_PERSON, 2))
"""Largest distance of neighbours and least faces of a group (DBSCAN), tried in this order. The released code
does the same with cosine .6 / 3 and .7 / 2 of another embedding."""
_CLEARLY_MORE = 2.0  # a person seen this many times larger or longer than the next is the one meant


@dataclass(frozen=True)
class Sighting:
    """A face in frame number ``frame``."""

    frame: int
    face: Face
    embedding: Vector


@dataclass(frozen=True)
class Person:
    """Sightings of one person in the order of the frames, at most one a frame."""

    sightings: tuple[Sighting, ...]

    @property
    def presence(self) -> float:
        """Area of the faces in all, in pixels: how large and how long the person is in sight."""
        return sum(s.face.area for s in self.sightings)

    @property
    def x(self) -> float:
        """Where the person mostly is, from left to right."""
        return float(np.median([(s.face.box[0] + s.face.box[2]) / 2 for s in self.sightings]))

    @property
    def embedding(self) -> Vector:
        """Of the face in the middle of all: nearest to the mean."""
        all_of_them = np.stack([s.embedding for s in self.sightings])
        away = np.linalg.norm(all_of_them - all_of_them.mean(0), axis=1)
        return np.asarray(all_of_them[int(away.argmin())])


def sightings(frames: Iterable[Frames], faces: FaceAnalyzer) -> list[Sighting]:
    """Every face of every frame (H, W, 3)."""
    found = []
    for t, frame in enumerate(frames):
        for face in faces.detect(frame[None])[0]:
            found.append(Sighting(t, face, faces.embed(frame, face)))
    return found


def group(seen: Sequence[Sighting]) -> list[Person]:
    """Persons, who is seen most first. Strict grouping is tried before lax; if neither finds a group, all
    are one person. Two faces of one frame are never one person: the one that fits worse stands for itself."""
    if not seen:
        return []
    labels = np.full(len(seen), -1)
    for reach, least in GROUPING:
        labels = DBSCAN(eps=reach, min_samples=least).fit_predict(np.stack([s.embedding for s in seen]))
        if (labels >= 0).any():
            break
    else:
        labels[:] = 0
    people: list[Person] = []
    for label in sorted(set(labels.tolist()) - {-1}):
        people += _one_a_frame([s for s, at in zip(seen, labels, strict=True) if at == label])
    return sorted(people, key=lambda p: -p.presence)


def choose(
    people: Sequence[Person], name: str, *, face: int | None = None, like: Sequence[Vector] = ()
) -> Person:
    """Who is meant in ``name``: the only one, number ``face`` from the left, the one who looks ``like`` some
    photos, or who is seen clearly more than the others. Raises FaceChoiceError."""
    if not people:
        raise FaceChoiceError(
            f"a reference must show a face: none was found in {name}. Choose a clip or photo in which the "
            "face is larger, sharper or less turned away.",
            found=0,
        )
    if like:
        return _most_alike(people, name, like)
    if face is not None:
        if not 1 <= face <= len(people):
            raise FaceChoiceError(
                f"--face counts the people from left to right, from 1: got {face}, and {name} shows "
                f"{len(people)}. Choose one of 1-{len(people)}.",
                found=len(people),
            )
        return sorted(people, key=lambda p: p.x)[face - 1]
    if len(people) > 1 and people[0].presence < _CLEARLY_MORE * people[1].presence:
        raise FaceChoiceError(
            f"a reference must show one person: {name} shows {len(people)} about equally. Choose with "
            f"--face N (1-{len(people)} from left to right) or --like PHOTO.",
            found=len(people),
        )
    return people[0]


def _most_alike(people: Sequence[Person], name: str, like: Sequence[Vector]) -> Person:
    away = [distance([p.embedding], like) for p in people]
    nearest = int(np.argmin(away))
    if away[nearest] > ONE_SUBJECT:
        raise FaceChoiceError(
            f"--like must show somebody who is in {name}: the nearest person there is "
            f"{away[nearest]:.2f} away, one person is below {ONE_SUBJECT:g}. Give another, or --face N.",
            found=len(people),
        )
    return people[nearest]


def _one_a_frame(seen: Sequence[Sighting]) -> list[Person]:
    centre = np.mean([s.embedding for s in seen], axis=0)
    kept: dict[int, Sighting] = {}
    doubles = []
    for sighting in sorted(seen, key=lambda s: float(np.linalg.norm(s.embedding - centre))):
        if kept.setdefault(sighting.frame, sighting) is not sighting:
            doubles.append(sighting)
    people = [Person(tuple(kept[t] for t in sorted(kept)))]
    return people + (_one_a_frame(doubles) if doubles else [])
