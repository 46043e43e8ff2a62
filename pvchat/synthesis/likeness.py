"""Who looks like whom: people told apart by face embeddings, so that nobody is on both sides of a test."""

from collections.abc import Sequence

import numpy as np

from pvchat.errors import UserError
from pvchat.faces import FaceAnalyzer, Vector
from pvchat.synthesis.identities import embed_portrait
from pvchat.synthesis.portraits import Portrait

ONE_SUBJECT = 0.65
"""References of a subject are linked by distances below this. Wider than ``SAME_PERSON``: two photos of one
person on different occasions may be further apart than that. Measured on 43 photos of ten people: 0 of 76
pairs of one person are refused, 95% of single wrong photos among the right ones are."""

Look = Sequence[Vector]
"""Face embeddings (128,) of one photo or part of a clip."""


def look(portraits: Sequence[Portrait], faces: FaceAnalyzer) -> list[Vector]:
    """Embeddings of the ``portraits`` in which the face can be described."""
    return [e for p in portraits if (e := embed_portrait(p, faces)) is not None]


def distance(one: Look, other: Look) -> float:
    """Least L2 distance between two looks; infinite where one is empty."""
    return min((float(np.linalg.norm(a - b)) for a in one for b in other), default=np.inf)


def alike(looks: Sequence[Look], limit: float) -> list[list[int]]:
    """Indices of ``looks`` in groups: nearer than ``limit`` to each other, directly or through others."""
    groups: list[list[int]] = []
    for i, new in enumerate(looks):
        near = [g for g in groups if any(distance(new, looks[j]) < limit for j in g)]
        groups = [g for g in groups if g not in near] + [sorted([*(j for g in near for j in g), i])]
    return sorted(groups)


def check_one_person(names: Sequence[str], looks: Sequence[Look]) -> None:
    """Raises UserError unless the references ``names`` are linked by their ``looks`` (``ONE_SUBJECT``).
    A face that cannot be described is not judged."""
    groups = [group for group in alike(looks, ONE_SUBJECT) if looks[group[0]]]
    if len(groups) < 2:
        return
    main, odd = max(groups, key=len), min(groups[::-1], key=len)
    away, nearest, i = min((distance(looks[i], looks[j]), j, i) for i in odd for j in main)
    raise UserError(
        f"references must show one person: the face of {names[i]} does not look like that of "
        f"{names[nearest]} (distance {away:.2f}, one person is below {ONE_SUBJECT:g}). Leave out the wrong "
        "one, or crop the photos to the person."
    )
