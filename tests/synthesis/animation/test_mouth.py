import numpy as np
import numpy.typing as npt
import torch

from pvchat.synthesis.animation.expressions import INNER_LOWER
from pvchat.synthesis.animation.mouth import MouthPainter


def test_only_what_opens_is_painted(mesh: npt.NDArray[np.float64]) -> None:
    image = torch.full((3, 512, 512), 0.6)
    closed = mesh[:, :2].copy()
    painter = MouthPainter(closed, image, unit_px=60.0)
    opened = closed.copy()
    opened[list(INNER_LOWER[1:-1]), 1] += 12
    same, other = image.clone(), image.clone()
    painter.paint(same, closed, (0, 0))
    painter.paint(other, opened, (0, 0))
    assert torch.equal(same, image)
    x, y = opened[14].round().astype(int)
    assert float(other[0, y - 5, x]) < 0.3  # dark above the lower lip
    assert float(other[0, y + 6, x]) > 0.59  # not below it
    changed = (other != image).any(0)
    assert 50 < int(changed.sum()) < 1500


def test_a_mouth_outside_the_part_is_left(mesh: npt.NDArray[np.float64]) -> None:
    painter = MouthPainter(mesh[:, :2], torch.full((3, 512, 512), 0.6), unit_px=60.0)
    opened = mesh[:, :2].copy()
    opened[list(INNER_LOWER[1:-1]), 1] += 12
    part = torch.full((3, 40, 40), 0.6)
    painter.paint(part, opened, (0, 0))
    assert torch.equal(part, torch.full((3, 40, 40), 0.6))
