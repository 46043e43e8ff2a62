import numpy as np

from pvchat.synthesis.light import Light


def test_white_light_keeps_its_brightness_and_loses_its_colour() -> None:
    light = Light(np.random.default_rng(0), np.full((4, 4, 3), (200, 30, 60), np.uint8))
    white = light.white()
    assert np.ptp(light.colour) / light.colour.mean() > 0.2
    assert np.ptp(white.colour) / white.colour.mean() < 0.05
    assert np.isclose(white.colour.mean(), light.colour.mean(), rtol=0.03)
    assert (white.side, white.gain, white.contrast) == (light.side, light.gain, light.contrast)
