"""Good faces are spread over files and time; crops show head and shoulders of one person."""

import numpy as np
import pytest

from pvchat.faces import Face
from pvchat.synthesis.face_selection import CROP_PX, head_and_shoulders, spread


def at(x: float, y: float = 200, size: float = 100) -> Face:
    box = np.array([x, y, x + size, y + size], np.float32)
    return Face(box, np.tile(box[:2] + 30, (5, 1)), 0.9)


def test_neighbours_in_time_are_not_both_taken() -> None:
    times = [t / 8 for t in range(160)]
    scores = [1 - abs(t - 5) / 20 for t in times]  # best at 5 s, and around it
    chosen = [times[i] for i in spread(scores, ["a"] * 160, times, 4)]
    assert chosen[0] == 5
    assert np.diff(sorted(chosen)).min() >= 160 / 8 / 8 - 0.13
    assert len(spread([1.0, 0.9, 0.8], ["a"] * 3, [0, 0.4, 0.8], 3)) == 1


def test_every_third_of_a_recording_has_a_turn() -> None:
    times = [float(t) for t in range(30)]
    scores = [1.0 if t < 10 else 0.1 for t in times]
    assert sorted(int(times[i] // 10) for i in spread(scores, ["a"] * 30, times, 6)) == [0, 0, 1, 1, 2, 2]


def test_every_file_has_a_turn() -> None:
    scores, files = [0.9, 0.8, 0.7, 0.3, 0.2], ["a", "a", "a", "b", "c"]
    assert spread(scores, files, [0, 5, 10, 0, 0], 4) == [0, 3, 4, 1]
    assert spread(scores, files, [0, 5, 10, 0, 0], 9) == [0, 3, 4, 1, 2]
    assert spread([], [], [], 3) == []


def test_crop_is_three_faces_wide_inside_the_frame() -> None:
    window = head_and_shoulders(at(400), [], (600, 1000, 3))
    assert (window.left, window.top, window.right, window.bottom) == (300, 120, 600, 420)
    assert window.others == 0
    window = head_and_shoulders(at(0, y=10), [], (150, 140, 3))
    assert (window.left, window.top, window.right, window.bottom) == (0, 0, 140, 130 + 20)


@pytest.mark.parametrize(
    ("other", "edge"),
    [
        (at(540), ("right", 540)),
        (at(310, size=50), ("left", 360)),
        (at(400, y=340), ("bottom", 340)),
        (at(420, y=100, size=50), ("top", 150)),
    ],
)
def test_others_are_cut_off(other: Face, edge: tuple[str, int]) -> None:
    window = head_and_shoulders(at(400), [other], (600, 1000, 3))
    assert getattr(window, edge[0]) == edge[1]
    assert window.others == 0


def test_who_is_too_near_is_counted() -> None:
    assert head_and_shoulders(at(400), [at(510), at(900)], (600, 1000, 3)).others == 1


def test_face_moves_with_its_crop() -> None:
    frame = np.zeros((2000, 2000, 3), np.uint8)
    frame[700:1100, 800:1200] = 200
    face = at(800, y=700, size=400)
    small, inside = head_and_shoulders(face, [], frame.shape).cut(frame, face)
    assert max(small.shape[:2]) == CROP_PX
    x0, y0, x1, y1 = inside.box.round().astype(int)
    assert small[y0 + 3 : y1 - 3, x0 + 3 : x1 - 3].min() > 190
    assert small[: y0 - 3].max() < 10
    assert x0 < inside.landmarks[0, 0] < x1
    same, _ = head_and_shoulders(at(400), [], (600, 1000, 3)).cut(frame[:600, :1000], at(400))
    assert same.shape == (300, 300, 3)  # never larger than the source
