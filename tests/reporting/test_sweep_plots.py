"""Points of a sweep are drawn where their values are."""

import numpy as np
import pytest

from pvchat.errors import UserError
from pvchat.reporting.sweep_plots import plot_parallel_coordinates, plot_value_curve
from pvchat.statistics import Interval

POINTS = [
    ({"a.rate": 1e-4, "config": "experiments/attention/moh.yaml"}, 0.6),
    ({"a.rate": 1.0, "config": "experiments/attention/remoh.yaml"}, 0.9),
    ({"a.rate": 1e-2, "config": "experiments/attention/moh.yaml"}, 0.3),
]


def test_each_point_is_a_line_and_the_best_is_thick() -> None:
    (axes,) = plot_parallel_coordinates(POINTS, metric="AUC").axes
    (lines,) = axes.collections
    drawn = [segment.tolist() for segment in lines.get_segments()]
    assert drawn[0] == pytest.approx(np.array([[0, 0], [1, 0], [2, 0.5]]))
    assert drawn[1] == pytest.approx(np.array([[0, 0.5], [1, 0], [2, 0]]))
    assert drawn[2] == pytest.approx(np.array([[0, 1], [1, 1], [2, 1]]))  # the best comes last
    assert list(lines.get_linewidths()) == [1.2, 1.2, 3.0]
    assert [t.get_text() for t in axes.get_xticklabels()] == ["rate", "config", "AUC"]
    assert {"moh", "remoh", "0.0001", "0.9"} <= {t.get_text() for t in axes.texts}


def test_a_loss_is_best_where_it_is_least() -> None:
    (axes,) = plot_parallel_coordinates(POINTS, metric="loss", maximized=False).axes
    assert axes.collections[0].get_segments()[-1].tolist()[-1] == [2, 0]


def test_points_of_one_metric_share_the_middle() -> None:
    (axes,) = plot_parallel_coordinates([(v, 0.5) for v, _ in POINTS], metric="AUC").axes
    assert {segment.tolist()[-1][1] for segment in axes.collections[0].get_segments()} == {0.5}


def test_no_point_is_refused() -> None:
    with pytest.raises(UserError, match="need a point with a metric: got none"):
        plot_parallel_coordinates([], metric="AUC")


def test_curve_beside_the_papers() -> None:
    measured = {16.0: 0.8, 0.0: Interval(0.5, 0.4, 0.6, 0.95, 9)}
    figure = plot_value_curve(measured, value="soft tokens", metric="AUC", paper={0: 0.801, 16: 0.922})
    (axes,) = figure.axes
    ours, paper = axes.get_lines()
    assert ours.get_xydata().tolist() == [[0, 0.5], [16, 0.8]]
    assert paper.get_xydata().tolist() == [[0, 0.801], [16, 0.922]]
    assert [s.tolist() for s in axes.collections[0].get_segments()] == [[[0, 0.4], [0, 0.6]]]
    assert [t.get_text() for t in figure.legends[0].get_texts()] == [
        "AUC",
        "95% interval",
        "the paper's accuracy (another test)",
    ]
