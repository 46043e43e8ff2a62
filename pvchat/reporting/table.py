"""Small tables of results, with intervals, as plain text for the screen or as Markdown for documents."""

import math
from collections.abc import Sequence
from typing import Literal

from pvchat.errors import UserError
from pvchat.statistics import Interval

Cell = str | int | float | Interval | None
TableStyle = Literal["plain", "markdown"]


def render_table(
    header: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    *,
    style: TableStyle = "plain",
    digits: int = 3,
    caption: str | None = None,
) -> str:
    """Table as text: columns with any words in them to the left, columns of numbers to the right.

    Intervals read ``0.901 [0.850, 0.940]``; None and nan (not measured) read ``-``."""
    wrong = next((row for row in rows if len(row) != len(header)), None)
    if wrong is not None:
        raise UserError(
            f"each row needs {len(header)} cells, as the header {list(header)}: got {list(wrong)}."
        )
    texts = [[format_cell(cell, digits=digits) for cell in row] for row in rows]
    titles = list(header)
    if style == "markdown":
        texts = [[text.replace("|", r"\|") for text in row] for row in texts]
        titles = [title.replace("|", r"\|") for title in titles]
    columns = range(len(titles))
    words = [any(isinstance(row[i], str) for row in rows) for i in columns]
    widths = [max(3, len(titles[i]), *(len(row[i]) for row in texts)) for i in columns]

    def line(cells: Sequence[str]) -> str:
        padded = [c.ljust(w) if left else c.rjust(w) for c, w, left in zip(cells, widths, words, strict=True)]
        return f"| {' | '.join(padded)} |" if style == "markdown" else "  ".join(padded).rstrip()

    if style == "markdown":
        dashes = ["-" * w if left else "-" * (w - 1) + ":" for w, left in zip(widths, words, strict=True)]
    else:
        dashes = ["-" * w for w in widths]
    lines = [line(titles), line(dashes), *(line(row) for row in texts)]
    return "\n".join([*([caption, ""] if caption else []), *lines])


def format_cell(cell: Cell, *, digits: int = 3) -> str:
    """One cell as text; whole numbers stay whole, line breaks become spaces."""
    if isinstance(cell, Interval):
        ends = ", ".join(format_cell(end, digits=digits) for end in (cell.low, cell.high))
        return f"{format_cell(cell.mean, digits=digits)} [{ends}]"
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return "-"
    if isinstance(cell, float):
        return f"{cell:.{digits}f}"
    return " ".join(str(cell).split())
