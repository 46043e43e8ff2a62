import numpy as np
import pytest

from pvchat.synthesis.wardrobe import COLOURS, GARMENTS, Clothes, Garment, Opening, Pen, hood, torso


@pytest.mark.parametrize("garment", [*GARMENTS, "hoodie"])
def test_shoulders_fill_the_foot_of_the_frame(garment: Garment) -> None:
    pen = Pen(120, (60, 42), 16)
    torso(pen, Clothes("blue", garment), (200, 150, 130))
    drawn = pen.pixels()
    assert drawn.shape == (120, 120, 4)
    assert (drawn[-10:, 30:90, 3] == 255).all()
    assert drawn[:50, :, 3].max() == 0  # room for the head
    red, _, blue = drawn[-10:, 40:80, :3].reshape(-1, 3).mean(0)
    assert blue > red + 40


def test_a_hood_leaves_the_face_free() -> None:
    back = Pen(120, (60, 60), 16)
    front = back.like()
    hood(back, front, Clothes("green", "hoodie"), Opening())
    assert back.pixels()[60, 60, 3] == 255
    assert front.pixels()[60, 60, 3] == 0
    assert front.pixels()[36, 60, 3] == 255


def test_openings_narrow() -> None:
    small = Opening(top=-0.6, bottom=1.5, half_width=0.9)
    assert Opening().within(small) == small.within(Opening()) == small


def test_clothes_read_as_words() -> None:
    assert str(Clothes("red", "t-shirt")) == "red t-shirt"
    assert len(COLOURS) >= 6
    colours = np.array(list(COLOURS.values()), float)
    distance = np.linalg.norm(colours[:, None] - colours[None], axis=-1) + 999 * np.eye(len(colours))
    assert distance.min() > 60
