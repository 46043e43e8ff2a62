"""Training curves of runs: loss, regularisers, lambda and active rate over steps."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pvchat.errors import UserError

Curve = list[tuple[float, float]]
PANELS = {
    "loss": ("train/loss", "train/language_modeling", "val/loss"),
    "SPR and HAE": ("train/smooth_proximity", "train/head_activation"),
    "lambda": ("train/lambda",),
    "active rate": ("train/active_rate",),
}
COLOURS = ("#1f78b4", "#d9480f", "#2b8a3e", "#7048e8", "#888888")
_MANY = 6  # beyond it single runs are pale and have no legend


def read_curves(path: Path) -> dict[str, Curve]:
    """Name -> points (step, value) of a ``metrics.csv``; names without values are left out."""
    curves: dict[str, Curve] = {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                for name, value in row.items():
                    if value and name not in ("step", "epoch"):
                        curves.setdefault(name, []).append((float(row["step"]), float(value)))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UserError(f"metrics.csv holds numbers by step: {path} does not ({error}).") from error
    return curves


def plot_curves(runs: Mapping[str, Mapping[str, Curve]]) -> Figure | None:
    """A panel for each of ``PANELS`` that any of ``runs`` (name -> curves) has values for, with a line where
    the video stage begins; None where there are none."""
    shown = {
        title: [n for n in names if any(c.get(n) for c in runs.values())] for title, names in PANELS.items()
    }
    shown = {title: names for title, names in shown.items() if names}
    if not shown:
        return None
    columns = min(2, len(shown))
    lines = -(-len(shown) // columns)
    figure = Figure(figsize=(5.2 * columns, 3.0 * lines), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(lines, columns, squeeze=False).flatten()
    for axes, (title, names) in zip(panels, shown.items(), strict=False):
        for number, (run, curves) in enumerate(runs.items()):
            for place, name in enumerate(names):
                if not (points := curves.get(name)):
                    continue
                colour = COLOURS[(place if len(runs) == 1 else number) % len(COLOURS)]
                label = name.split("/", 1)[1] if len(runs) == 1 else run if place == 0 else None
                if name.startswith("val/"):
                    label = "validation"
                axes.plot(
                    *zip(*points, strict=True),
                    color=colour if len(runs) <= _MANY else "#888888",
                    alpha=1.0 if len(runs) <= _MANY else 0.4,
                    linewidth=1.3,
                    linestyle="-" if place == 0 else "--",
                    label=label if len(runs) <= _MANY else None,
                )
        for step in _stage_boundaries(runs):
            axes.axvline(step, color="#b0b0b0", linewidth=1, linestyle=":")
        if title == "lambda" and _positive(runs, names):
            axes.set_yscale("log")
        if title == "active rate":
            axes.set_ylim(0, 1.02)
        axes.set_title(title if len(runs) == 1 else _explained(title, names), loc="left", fontsize=10)
        axes.set_xlabel("step")
        axes.spines[["top", "right"]].set_visible(False)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(frameon=False, fontsize=8)
    for axes in panels[len(shown) :]:
        axes.set_visible(False)
    return figure


def _explained(title: str, names: Sequence[str]) -> str:
    """Where colours tell runs apart, the legend has no place for what is dashed."""
    dashed = ["validation" if n.startswith("val/") else n.partition("/")[2] for n in names[1:]]
    return f"{title}; dashed: {', '.join(dashed)}" if dashed else title


def _stage_boundaries(runs: Mapping[str, Mapping[str, Curve]]) -> set[float]:
    """First steps of the video stage."""
    found = ((s for s, v in curves.get("train/video_stage", []) if v) for curves in runs.values())
    return {step for steps in found if (step := next(steps, 0.0))}


def _positive(runs: Mapping[str, Mapping[str, Curve]], names: Sequence[str]) -> bool:
    """More than half of the values, so that a logarithmic axis shows something."""
    values = [v for curves in runs.values() for n in names for _, v in curves.get(n, [])]
    return sum(v > 0 for v in values) > len(values) / 2
