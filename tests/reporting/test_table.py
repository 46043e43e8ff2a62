"""Tables of results as text."""

import pytest

from pvchat.errors import UserError
from pvchat.reporting.table import format_cell, render_table
from pvchat.statistics import Interval

HEADER = ["control", "accuracy", "clips"]
ROWS = [["main", Interval(0.901, 0.85, 0.94, 0.95, 8), 12], ["text_only", 0.5, 120], ["base", None, 0]]


def test_plain() -> None:
    assert render_table(HEADER, ROWS, caption="Controls").splitlines() == [
        "Controls",
        "",
        "control                accuracy  clips",
        "---------  --------------------  -----",
        "main       0.901 [0.850, 0.940]     12",
        "text_only                 0.500    120",
        "base                          -      0",
    ]


def test_markdown() -> None:
    assert render_table(["a|b", "n"], [["x|y", 1.0], ["z", 2]], style="markdown", digits=1).splitlines() == [
        r"| a\|b |   n |",
        "| ---- | --: |",
        r"| x\|y | 1.0 |",
        "| z    |   2 |",
    ]


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (0.12345, "0.123"),
        (7, "7"),
        (None, "-"),
        (float("nan"), "-"),
        ("two\n lines", "two lines"),
        (Interval(0.5, -0.25, 1.0, 0.95, 3), "0.500 [-0.250, 1.000]"),
        (True, "True"),
    ],
)
def test_cells(cell: float | str | Interval | None, text: str) -> None:
    assert format_cell(cell) == text


def test_no_rows_and_ragged_rows() -> None:
    assert render_table(["a"], []).splitlines() == ["  a", "---"]
    with pytest.raises(UserError, match=r"each row needs 2 cells.*got \['x'\]"):
        render_table(["a", "b"], [["x"]])
