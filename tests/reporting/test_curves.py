"""Curves as metrics.csv has them, and the panels that are drawn of them."""

from pathlib import Path

import pytest

from pvchat.errors import UserError
from pvchat.reporting.curves import plot_curves, read_curves

CSV = """epoch,step,train/loss,train/lambda,train/video_stage,val/loss
0,0,3.0,1e-8,0.0,
0,1,2.5,2e-8,0.0,
0,1,,,,2.0
1,2,1.5,4e-8,1.0,
1,3,1.0,8e-8,1.0,
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "metrics.csv"
    path.write_text(CSV)
    return path


def test_empty_cells_are_no_points(file: Path) -> None:
    curves = read_curves(file)
    assert curves["train/loss"] == [(0, 3.0), (1, 2.5), (2, 1.5), (3, 1.0)]
    assert curves["val/loss"] == [(1, 2.0)]
    assert not {"epoch", "step"} & set(curves)


def test_panels_of_what_there_is(file: Path) -> None:
    figure = plot_curves({"run": read_curves(file)})
    assert figure is not None
    loss, lambdas = figure.axes
    assert (loss.get_title(loc="left"), lambdas.get_title(loc="left")) == ("loss", "lambda")
    assert loss.get_lines()[0].get_xydata().tolist() == [[0, 3.0], [1, 2.5], [2, 1.5], [3, 1.0]]
    assert [t.get_text() for t in loss.get_legend().get_texts()] == ["loss", "validation"]
    assert loss.get_lines()[-1].get_xdata()[0] == 2  # the video stage begins
    assert lambdas.get_yscale() == "log"
    assert loss.get_yscale() == "linear"


def test_many_runs_are_pale_and_without_a_legend(file: Path) -> None:
    figure = plot_curves({f"run{n}": read_curves(file) for n in range(7)})
    assert figure is not None
    assert figure.axes[0].get_legend() is None
    assert plot_curves({"run": {}}) is None


def test_a_file_that_holds_no_numbers(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text("epoch,step,train/loss\n0,0,high\n")
    with pytest.raises(UserError, match="holds numbers by step"):
        read_curves(path)
