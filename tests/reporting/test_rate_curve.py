"""The picture of a range test: drawn with and without a suggestion, which is seen."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from pvchat.reporting.rate_curve import MARK, plot_rate_curve


@pytest.mark.parametrize("factor", [None, 0.1])
def test_the_suggestion_is_marked(tmp_path: Path, factor: float | None) -> None:
    points = [(10.0**n, 3.0 - n, 2.5 - n) for n in range(-3, 2)]
    picture = np.asarray(
        Image.open(plot_rate_curve(points, factor, tmp_path / "curve.png", title="a test")).convert("RGB")
    )
    marked = np.abs(picture - np.multiply(to_rgb(MARK), 255)).max(-1) < 8
    assert (marked.sum() > 100) == (factor is not None)
