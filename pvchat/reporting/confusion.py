"""Who is said to be there, and is? The confusion matrix of presence."""

from collections.abc import Sequence

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

ROWS, COLUMNS = ("there", "not there"), ("said there", "said not there", "not parsed")
INK = "#222222"


def plot_confusion(counts: Sequence[Sequence[int]], *, title: str = "") -> Figure:
    """``counts`` (2, 3): truth by what was said, with the share of each row."""
    figure = Figure(figsize=(4.6, 2.8), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    shares = [[n / max(sum(row), 1) for n in row] for row in counts]
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for i, row in enumerate(counts):
        for j, count in enumerate(row):
            colour = "white" if shares[i][j] > 0.6 else INK
            text = f"{count}\n{100 * shares[i][j]:.0f} %"
            axes.text(j, i, text, ha="center", va="center", color=colour, fontsize=10)
    axes.set_xticks(range(len(COLUMNS)), COLUMNS)
    axes.set_yticks(range(len(ROWS)), ROWS)
    axes.set_title(title, loc="left", fontsize=10)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return figure
