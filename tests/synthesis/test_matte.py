import numpy as np
import numpy.typing as npt
import pytest

from pvchat.synthesis.matte import HeadFrame, head_coverage, head_matte

UPRIGHT = np.array([[84.0, 96], [108, 96], [96, 116], [84, 136], [108, 136]])


@pytest.mark.parametrize("angle", [0.0, 0.4, -0.3])
def test_head_coordinates_turn_with_the_head(angle: float) -> None:
    c, s = np.cos(angle), np.sin(angle)
    turned = (UPRIGHT - 96) @ np.array([[c, s], [-s, c]]) + 96
    frame = HeadFrame(turned)
    assert frame.roll == pytest.approx(angle)
    assert frame.unit == pytest.approx(40)
    np.testing.assert_allclose(frame.to_head(turned[3:]).mean(0), [0, 1], atol=1e-9)
    np.testing.assert_allclose(frame.to_pixels(frame.to_head(turned)), turned)


def test_turn_is_where_the_nose_points() -> None:
    nose_right = UPRIGHT + np.array([[0, 0], [0, 0], [12, 0], [0, 0], [0, 0]])
    assert HeadFrame(UPRIGHT).turn == pytest.approx(0)
    assert HeadFrame(nose_right).turn == pytest.approx(0.3)


def disc() -> npt.NDArray[np.uint8]:
    """A skin-coloured head on a green wall, a little wider than the prior's."""
    image = np.full((192, 192, 3), (40, 120, 60), np.uint8)
    grid = HeadFrame(UPRIGHT).grid(192)
    head = (grid[..., 0] / 1.25) ** 2 + ((grid[..., 1] - 0.05) / 1.65) ** 2 < 1
    image[head] = (200, 150, 130)
    return np.asarray(image + np.random.default_rng(0).integers(0, 9, image.shape), np.uint8)


def test_colours_draw_the_border() -> None:
    image = disc()
    alpha = head_matte(image, UPRIGHT, np.ones((192, 192), bool))
    head = image[..., 0] > 150
    overlap = (head & (alpha > 128)).sum() / (head | (alpha > 128)).sum()
    assert overlap > 0.9


def test_nothing_beyond_the_photo() -> None:
    valid = np.ones((192, 192), bool)
    valid[:, :96] = False
    assert head_matte(disc(), UPRIGHT, valid)[:, :90].max() == 0
    assert head_coverage(UPRIGHT, valid) < 0.7
    assert head_coverage(UPRIGHT, np.ones((192, 192), bool)) == 1
