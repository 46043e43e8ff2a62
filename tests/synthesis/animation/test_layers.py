import numpy as np
import numpy.typing as npt
import pytest

from pvchat.synthesis.animation.layers import Layers, PersonMatte

Frame = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def layers(photo: Frame) -> Layers:
    return PersonMatte().separate(photo, centre=(225.0, 122.0), face_px=108.0)


def test_outline_of_the_person(layers: Layers) -> None:
    alpha = layers.alpha[0]
    assert float(alpha[80:180, 200:250].min()) > 0.98  # face
    assert float(alpha[350:450, 150:300].mean()) > 0.95  # suit
    assert float(alpha[20:150, 330:370].max()) < 0.02  # wall
    assert float(alpha[20:150, 100:130].max()) < 0.02


def test_plate_shows_no_ghost(layers: Layers, photo: Frame) -> None:
    inside = layers.plate[:, 40:170, 190:260].mean((1, 2))
    wall = layers.plate[:, 40:170, 330:370].mean((1, 2))
    assert float((inside - wall).abs().max()) < 0.12
    face = photo[40:170, 190:260].mean((0, 1)) / 255
    assert np.abs(face - wall.numpy()).max() > 0.2  # so the bound above says something
    clear = (layers.alpha[0] == 0).numpy()
    kept = np.abs(layers.plate.permute(1, 2, 0).numpy() * 255 - photo)[clear].max(-1)
    assert np.quantile(kept, 0.9) < 0.01


def test_layers_put_together_are_the_photo(layers: Layers, photo: Frame) -> None:
    together = layers.plate + layers.alpha * (layers.foreground - layers.plate)
    difference = np.abs(together.permute(1, 2, 0).numpy() * 255 - photo).max(-1)
    assert difference.mean() < 4
    assert difference[30:200, 130:320].mean() < 2


def test_hair_carries_no_colour_of_the_wall(photo: Frame) -> None:
    """The same photo before a green wall: nothing green is left in the colours of the person."""
    matte = PersonMatte()
    first = matte.separate(photo, centre=(225.0, 122.0), face_px=108.0)
    green = np.array([0.1, 0.8, 0.1])
    alpha = first.alpha[0, ..., None].numpy()
    mixed = first.foreground.permute(1, 2, 0).numpy() * alpha + green * (1 - alpha)
    again = matte.separate((mixed * 255).astype(np.uint8), centre=(225.0, 122.0), face_px=108.0)
    edge = (again.alpha[0, 10:110, 130:320] > 0.3) & (again.alpha[0, 10:110, 130:320] < 0.9)
    red, greenness, _ = again.foreground[:, 10:110, 130:320][:, edge]
    mixture = mixed[10:110, 130:320][edge.numpy()]
    assert edge.sum() > 100
    assert float((greenness - red).mean()) < 0.5 * float((mixture[:, 1] - mixture[:, 0]).mean())
