"""The reliability diagram draws the bins it is given."""

import pytest

from pvchat.metrics.functional.calibration import reliability_bins
from pvchat.reporting.reliability import plot_reliability


def test_points_and_bars_by_hand() -> None:
    """Probability one half for four questions, three of them yes; nearly 1 for two that are yes."""
    bins = reliability_bins(
        [0.0, 0.0, 0.0, 0.0, 10.0, 10.0], [True, True, True, False, True, True], num_bins=4
    )
    above, below = plot_reliability(bins).axes
    x, y = above.get_lines()[1].get_data()
    assert list(x) == pytest.approx([0.5, 1.0], abs=1e-4)
    assert list(y) == [0.75, 1.0]
    assert [bar.get_height() for bar in below.patches] == [0, 4, 0, 2]
    assert above.get_title(loc="left") == "ECE 0.167"  # 4/6 * .25
