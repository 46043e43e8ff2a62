"""Which heads react to the subject? A picture of head activation (paper, figure 7)."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Normalize, TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from pvchat.errors import UserError

Activations = Mapping[str, Sequence[float]]
CELL, MARGIN = 0.42, 2.6  # inches: one cell; module names, colour bars and gaps
INK, QUIET = "#222222", "#777777"
DEAD = 1e-6


def plot_head_activation(
    present: Activations,
    absent: Activations,
    path: str | Path,
    *,
    num_shared_heads: int | None = None,
    title: str = "Head activation",
) -> Path:
    """Draw module -> mean weight of each head (H) with and without the subject as a PNG at ``path``.

    One row a module, its heads side by side in three panels: subject present, absent, and the difference.
    Heads that never fire are marked. A line parts the shared heads, which come first, from the routed ones.
    Returns ``path``. UserError unless both maps have the same modules with as many heads everywhere."""
    modules = list(present)
    there, away = _matrix(present, modules), _matrix(absent, modules)
    if set(present) != set(absent) or there.shape != away.shape:
        raise UserError(
            "both head activation maps need the same modules and heads: "
            f"got {modules} x {there.shape[1]} and {list(absent)} x {away.shape[1]}."
        )
    rows, heads = there.shape
    change = there - away
    # Colour scales follow the data: the weights of a trained router have no fixed maximum.
    level = Normalize(0, max(there.max(), away.max(), DEAD))
    swing = max(np.abs(change).max(), DEAD)
    panels = [
        ("subject present", there, "YlGnBu", level),
        ("subject absent", away, "YlGnBu", level),
        ("difference", change, "RdBu_r", TwoSlopeNorm(0, -swing, swing)),
    ]

    figure = Figure(figsize=(3 * CELL * max(heads, 4) + MARGIN, CELL * rows + 2.05), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK)
    all_axes = figure.subplots(1, 3, sharey=True, squeeze=False)[0]
    images = [_panel(axes, *panel, num_shared_heads) for axes, panel in zip(all_axes, panels, strict=True)]
    all_axes[0].set_yticks(range(rows), [m.replace(".", "  ") for m in modules], fontsize=9, color=INK)
    _colour_bar(
        figure,
        images[1],
        list(all_axes[:2]),
        "mean weight of the head   (\N{MULTIPLICATION SIGN} never fires)",
    )
    _colour_bar(figure, images[2], [all_axes[2]], "present \N{MINUS SIGN} absent")
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=160, facecolor="white")
    return path


def _matrix(activations: Activations, modules: Sequence[str]) -> npt.NDArray[np.float64]:
    """(modules, heads)."""
    rows = [np.asarray(activations.get(name, ()), dtype=np.float64) for name in modules]
    if not rows or len({row.shape for row in rows}) != 1 or rows[0].ndim != 1 or not rows[0].size:
        found = {name: len(values) for name, values in activations.items()}
        raise UserError(f"a head activation map needs modules with equally many heads: got {found}.")
    return np.stack(rows)


def _panel(
    axes: Axes,
    title: str,
    values: npt.NDArray[np.float64],
    colours: str,
    norm: Normalize,
    num_shared_heads: int | None,
) -> AxesImage:
    rows, heads = values.shape
    image = axes.imshow(values, cmap=colours, norm=norm, aspect="equal")
    axes.set_title(title, fontsize=10, color=INK, pad=16 if num_shared_heads else 6)
    axes.set_xticks(range(heads), [str(h) for h in range(heads)], fontsize=8, color=QUIET)
    axes.set_xlabel("head", fontsize=9, color=QUIET)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    # White lines between the cells make single heads easy to follow across the panels.
    axes.set_xticks(np.arange(heads + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(rows + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1.2)
    axes.tick_params(which="minor", length=0)
    if title != "difference":
        dead_rows, dead_heads = np.nonzero(values < DEAD)
        axes.scatter(dead_heads, dead_rows, marker="x", s=16, color=QUIET, linewidths=0.9)
    if num_shared_heads:
        edge = num_shared_heads - 0.5
        axes.plot([edge, edge], [-0.5, rows - 0.5], color=INK, linewidth=1.6, clip_on=False)
        for middle, name in (((edge - 0.5) / 2, "shared"), ((edge + heads - 0.5) / 2, "routed")):
            axes.text(middle, -0.62, name, ha="center", va="bottom", fontsize=8, color=QUIET)
    return image


def _colour_bar(figure: Figure, image: AxesImage, axes: list[Axes], label: str) -> None:
    bar = figure.colorbar(
        image, ax=axes, location="bottom", shrink=0.6, aspect=40 if len(axes) > 1 else 20, pad=0.03
    )
    bar.set_label(label, fontsize=9, color=QUIET)
    bar.ax.tick_params(labelsize=8, colors=QUIET, length=2)
    bar.outline.set_visible(False)
