"""Groups of looks by hand: points on a line, so many units apart."""

import numpy as np
import pytest

from pvchat.errors import UserError
from pvchat.faces import Vector
from pvchat.synthesis.likeness import alike, check_one_person, distance


def at(*places: float) -> list[Vector]:
    return [np.array([p, 0], np.float32) for p in places]


def test_distance_is_that_of_the_nearest() -> None:
    assert distance(at(0, 5), at(4, 9)) == 1
    assert distance(at(0), []) == np.inf


def test_groups_are_linked_through_others() -> None:
    looks = [at(0), at(9), at(1), at(0.5, 8.7), [], at(4)]
    assert alike(looks, 0.6) == [[0, 1, 2, 3], [4], [5]]  # the fourth links the first, second and third
    assert alike(looks[:3], 0.6) == [[0], [1], [2]]
    assert alike([], 1.0) == []


def test_the_odd_one_out_is_named() -> None:
    check_one_person(["a", "b", "c"], [at(0), at(0.6), at(1.2)])
    with pytest.raises(UserError, match=r"face of b does not look like that of c \(distance 1.50, .* 0.65\)"):
        check_one_person(["a", "b", "c"], [at(0), at(2), at(0.5)])


def test_a_face_that_cannot_be_described_is_not_judged() -> None:
    check_one_person(["a", "b"], [at(0), []])
