import numpy as np
from skimage.data import astronaut

from pvchat.synthesis.matte import HeadFrame
from pvchat.synthesis.studio.garments import bare_mask, clothes_mask

HEAD = HeadFrame(np.array([[56, 22], [65, 22], [60, 27], [57, 31], [64, 31]], float))


def test_a_lonely_pixel_of_the_matte_spoils_nothing() -> None:
    photo = np.ascontiguousarray(astronaut()[::4, ::4])
    alpha, face = np.zeros((128, 128), np.float32), np.zeros((128, 128), np.float32)
    alpha[10:, 30:100] = 1
    face[15:35, 52:68] = 1
    worn = clothes_mask(photo, alpha, HEAD, face)
    assert worn[70:, 40:90].mean() > 0.5
    alpha[3, 110] = 1
    lonely = clothes_mask(photo, alpha, HEAD, face)
    assert np.isfinite(lonely).all()
    assert np.abs(lonely - worn)[8:].max() < 0.1


def test_hair_is_kept_and_bare_shoulders_are_not() -> None:
    skin, hair, shirt = (200, 150, 130), (40, 25, 20), (30, 120, 60)
    photo = np.full((128, 128, 3), shirt, np.uint8)
    photo[:60, 40:80] = hair
    photo[18:36, 52:68] = skin
    photo[44:60, 80:100] = skin  # a shoulder
    alpha, face = np.ones((128, 128), np.float32), np.zeros((128, 128), np.float32)
    face[18:36, 52:68] = 1
    bare = bare_mask(photo, alpha, HEAD, face)
    assert bare[40:55, 42:50].min() > 0.9
    assert bare[46:58, 84:96].max() < 0.1
    assert bare[70:, :].max() < 0.1
