"""Pictures of a sweep: all its points at once, and the metric over one swept value."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from pvchat.errors import UserError
from pvchat.statistics import Interval

MARK, PAPER, QUIET = "#1f78b4", "#d9480f", "#b0b0b0"
PLATE = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1}
_LONGEST = 22  # characters of a value beside an axis


def plot_parallel_coordinates(
    points: Sequence[tuple[Mapping[str, Any], float]], *, metric: str, maximized: bool = True
) -> Figure:
    """A line a point (swept values, metric) over one axis for each swept value; the last axis, and the
    colour, is the metric. Numbers are placed by rank, so that 1e-4, 1e-3 and 1 stay apart, words in order of
    appearance. The best point is drawn last and thick."""
    if not points:
        raise UserError("parallel coordinates need a point with a metric: got none. Let a point finish.")
    names = list(points[0][0])
    scales = [_scale([values[name] for values, _ in points]) for name in names]
    metrics = np.array([m for _, m in points])
    low, high = float(metrics.min()), float(metrics.max())
    heights = (metrics - low) / (high - low) if high > low else np.full(len(metrics), 0.5)
    lines = [
        [*((x, s[str(values[n])]) for x, (n, s) in enumerate(zip(names, scales, strict=True))), (x_end, h)]
        for (values, _), h in zip(points, heights.tolist(), strict=True)
        for x_end in [len(names)]
    ]
    best = int(metrics.argmax() if maximized else metrics.argmin())
    order = [*(i for i in range(len(points)) if i != best), best]
    figure = Figure(figsize=(max(5.2, 2.1 * (len(names) + 1)), 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    shades = matplotlib.colormaps["viridis"](heights * 0.9)
    axes.add_collection(
        LineCollection(
            [lines[i] for i in order],
            colors=[shades[i] for i in order],
            linewidths=[3.0 if i == best else 1.2 for i in order],
            alpha=0.8,
        )
    )
    ends = [_number(low)] if high == low else [_number(low), _number(high)]
    labels = [list(s.items()) for s in scales]
    labels.append(list(zip(ends, [0.5] if high == low else [0.0, 1.0], strict=True)))
    for x, marks in enumerate(labels):
        axes.axvline(x, color=QUIET, linewidth=1, zorder=0)
        for text, y in marks:
            axes.text(x + 0.03, y, _short(text), fontsize=8, va="center", bbox=PLATE, parse_math=False)
    axes.set_xlim(-0.1, len(names) + 0.45)
    axes.set_ylim(-0.08, 1.08)
    axes.set_xticks(range(len(names) + 1), [*(n.rpartition(".")[2] for n in names), metric], fontsize=9)
    axes.set_yticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure


def plot_value_curve(
    measured: Mapping[float, Interval | float],
    *,
    value: str,
    metric: str,
    paper: Mapping[float, float] | None = None,
) -> Figure:
    """The metric over a swept number, with intervals where there are any, and what the ``paper`` has."""
    figure = Figure(figsize=(6.2, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    at = sorted(measured)
    means = [m.mean if isinstance(m := measured[x], Interval) else m for x in at]
    axes.plot(at, means, color=MARK, marker="o", label=metric)
    spans = [(x, m.low, m.high) for x in at if isinstance(m := measured[x], Interval)]
    if spans:
        level = next(m.level for m in measured.values() if isinstance(m, Interval))
        axes.vlines(
            *zip(*spans, strict=True), color=MARK, alpha=0.5, linewidth=3, label=f"{level:.0%} interval"
        )
    if paper:
        over = sorted(paper)
        label = "the paper's accuracy (another test)"
        axes.plot(
            over, [paper[x] for x in over], color=PAPER, linestyle="--", marker="s", markersize=4, label=label
        )
    axes.set_xticks(at)
    axes.set_xlabel(value)
    axes.set_ylabel(metric)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(frameon=False, fontsize=8, loc="outside upper left", ncols=3)
    return figure


def _scale(values: Sequence[Any]) -> dict[str, float]:
    """Where on its axis each value is: label -> 0..1."""
    distinct = list({str(v): v for v in values}.values())  # lists are no keys
    if all(isinstance(v, int | float) and not isinstance(v, bool) for v in distinct):
        distinct.sort()
    if len(distinct) == 1:
        return {str(distinct[0]): 0.5}
    return {str(v): i / (len(distinct) - 1) for i, v in enumerate(distinct)}


def _short(text: str) -> str:
    """The end of a long value: of a path what tells it apart."""
    name = text.rpartition("/")[2].removesuffix(".yaml")
    return name if len(name) <= _LONGEST else f"…{name[-_LONGEST:]}"


def _number(value: float) -> str:
    return f"{value:.3g}"
