import numpy as np

from pvchat.synthesis.studio.dressing import head_and_neck


def test_long_hair_may_reach_the_shoulders_on_its_side_alone() -> None:
    y, x = np.mgrid[-3:4:0.1, -3:3:0.1]
    alpha = ((x > -0.9) & (x < 1.8) & (y < 2.2)).astype(np.float32)
    room = head_and_neck(alpha, np.stack([x, y], -1), turn=0.0)

    def at(u: float, v: float) -> float:
        return float(room.flat[np.hypot(x - u, y - v).argmin()])

    assert at(1.6, 1.9) > 0.9
    assert at(-1.6, 1.9) < 0.1
    assert at(0, 1.9) > 0.9
    assert at(0, -2.2) > 0.5 > at(1.8, -2.2)  # round above
