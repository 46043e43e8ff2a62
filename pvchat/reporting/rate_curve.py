"""Loss over learning rate: the picture of a range test."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

INK, QUIET, MARK = "#222222", "#b0b0b0", "#1f78b4"


def plot_rate_curve(
    points: Sequence[tuple[float, float, float]], factor: float | None, path: str | Path, *, title: str
) -> Path:
    """Draw (factor, loss, smoothed loss) as a PNG at ``path``, and mark the suggested ``factor``."""
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    factors, losses, smooth = zip(*points, strict=True)
    axes.plot(factors, losses, color=QUIET, linewidth=1, label="loss of a step")
    axes.plot(factors, smooth, color=INK, linewidth=2, label="smoothed")
    if factor is not None:
        label = f"falls fastest: {factor:.2g}"
        axes.axvline(factor, color=MARK, linestyle="--", label=label)
    axes.set_xscale("log")
    lowest, start = min(smooth), smooth[0]
    axes.set_ylim(max(0, lowest - 0.2 * start), 1.5 * start)
    axes.set_xlabel("factor on the learning rate of every group")
    axes.set_ylabel("loss")
    axes.set_title(title)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=120)
    return Path(path)
