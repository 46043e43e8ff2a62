from collections import Counter
from itertools import islice

import numpy as np

from pvchat.synthesis.studio.scenes import CAMERA_MOVES, HEAD, HEIGHTS, framings, plan_scenes


def test_everything_comes_equally_often() -> None:
    planned = plan_scenes(np.random.default_rng(0), ["a", "b"], ["red", "blue", "green"], ["nod", "still"])
    scenes = list(islice(planned, 24))
    assert set(Counter(s.place for s in scenes).values()) == {12}
    assert set(Counter(s.clothes.colour for s in scenes).values()) == {8}
    assert set(Counter(s.motion for s in scenes).values()) == {12}
    assert Counter(s.camera for s in scenes) == dict.fromkeys(CAMERA_MOVES, 6)
    assert len({s.seed for s in scenes}) == 24


def test_heads_stay_in_the_frame() -> None:
    chosen = [f for seed in range(5) for f in framings(seed)]
    heights = [f.unit * HEAD for f in chosen]
    assert np.isclose([min(heights), max(heights)], HEIGHTS).all()
    assert all(f.y > 2 * f.unit for f in chosen)
    assert all(1.3 * f.unit < f.x < 1 - 1.3 * f.unit for f in chosen)
    assert framings(3) == framings(3) != framings(4)
