import numpy as np

from pvchat.synthesis.light import Light
from pvchat.synthesis.matte import HeadFrame
from pvchat.synthesis.studio.scenes import Framing
from pvchat.synthesis.studio.stage import Stage
from pvchat.synthesis.wardrobe import Clothes, Opening

FRAMING = Framing(0.5, 0.4, 0.1)
GREEN = (0, 255, 0, 255)


def _light() -> Light:
    return Light(np.random.default_rng(0), np.full((8, 8, 3), (200, 60, 60), np.uint8))


def _leaning(degrees: float) -> HeadFrame:
    upright = np.array([[-0.5, 0], [0.5, 0], [0, 0.5], [-0.4, 1], [0.4, 1]]) * 20
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return HeadFrame(upright @ np.array([[c, s], [-s, c]]) + 100)


def _is_green(person: object) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    seen = np.asarray(person, int)
    return np.asarray((seen[..., 1] > 200) & (seen[..., 0] < 60) & (seen[..., 3] > 128))


def test_a_hood_hides_what_is_below_it() -> None:
    stage = Stage(200, FRAMING)
    stage.dress(Clothes("red", "hoodie"), (200, 150, 130), Opening(), _light())
    photo = np.full((200, 200, 4), GREEN, np.uint8)
    green = _is_green(stage.person(photo, _leaning(0), 0.0))
    eyes = round(0.4 * 200 + 0.05 * 200)
    assert green[eyes].any()
    assert not green[eyes + round(2.2 * 20) :].any()


def test_a_leaning_head_stands_upright_on_drawn_clothes() -> None:
    head = _leaning(25)
    photo = np.zeros((200, 200, 4), np.uint8)
    x, y = head.to_pixels(np.array([0.0, -1.0])).round().astype(int)
    photo[y - 3 : y + 4, x - 3 : x + 4] = GREEN
    own, drawn = Stage(200, FRAMING), Stage(200, FRAMING)
    drawn.dress(Clothes("red", "shirt"), (200, 150, 130), None, _light())
    shift = [float(np.nonzero(_is_green(s.person(photo, head, 0.0)))[1].mean()) - 110 for s in (own, drawn)]
    assert shift[0] > 5
    assert abs(shift[1]) < 1
