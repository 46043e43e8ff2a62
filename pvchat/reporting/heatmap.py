"""Which heads react to the subject? A picture of head activation (paper, figure 7)."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Normalize, TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from pvchat.errors import UserError

Activations = Mapping[str, Sequence[float]]
Matrix = npt.NDArray[np.float64]
CELL, MARGIN, NOTE_HEIGHT = 0.46, 1.3, 0.3  # inches: one cell; module names on the left; the note
INK, QUIET = "#222222", "#777777"
DEAD = 1e-6
FAINT = 0.05  # differences below it stay pale
SHADES = {"shared": "Greys", "routed": "YlGnBu"}
NOTE = (
    "In the cells: mean weight of the head, 1 in dense attention (\N{MULTIPLICATION SIGN} never fires; 0: "
    "below .005). Colours: up to the largest weight, or difference, of the {who}."
)


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
    Heads that never fire are marked. A line parts the shared heads, which come first, from the routed ones;
    each kind has colours of its own, for shared weights are far larger.
    Returns ``path``. UserError unless both maps have the same modules with as many heads everywhere."""
    modules = list(present)
    there, away = _matrix(present, modules), _matrix(absent, modules)
    if set(present) != set(absent) or there.shape != away.shape:
        raise UserError(
            "both head activation maps need the same modules and heads: "
            f"got {modules} x {there.shape[1]} and {list(absent)} x {away.shape[1]}."
        )
    rows, heads = there.shape
    kinds = _kinds(num_shared_heads or 0, heads)
    size = (3 * (CELL * max(heads, 4) + 0.15) + MARGIN, CELL * rows + 1.75)
    foot = NOTE_HEIGHT / size[1]
    figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(rect=(0, foot, 1, 1 - foot)))
    FigureCanvasAgg(figure)
    figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK)
    note = NOTE.format(who="shared or of the routed heads" if len(kinds) > 1 else "heads")
    figure.text(0.01, 0.015, note, fontsize=8.5, color=QUIET)
    panels = figure.subplots(1, 3, sharey=True, squeeze=False)[0]
    for axes, name, values in zip(panels, ("subject present", "subject absent"), (there, away), strict=False):
        _frame(axes, name, rows, heads, kinds)
        for kind, part in kinds.items():
            top = max(there[:, part].max(), away[:, part].max(), DEAD)
            _cells(axes, values, part, SHADES[kind], Normalize(0, 1.2 * top), dead=True)
    _frame(panels[2], "difference: present \N{MINUS SIGN} absent", rows, heads, kinds)
    for part in kinds.values():
        swing = max(np.abs(there - away)[:, part].max(), FAINT)
        _cells(
            panels[2], there - away, part, "RdBu_r", TwoSlopeNorm(0, -1.2 * swing, 1.2 * swing), dead=False
        )
    panels[0].set_yticks(range(rows), [m.replace(".", "  ") for m in modules], fontsize=9, color=INK)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=160, facecolor="white")
    return path


def _kinds(num_shared_heads: int, heads: int) -> dict[str, slice]:
    """Kind of head -> its columns."""
    routed = {"routed": slice(num_shared_heads, heads)}
    return {"shared": slice(0, num_shared_heads), **routed} if num_shared_heads else routed


def _matrix(activations: Activations, modules: Sequence[str]) -> Matrix:
    """(modules, heads)."""
    rows = [np.asarray(activations.get(name, ()), dtype=np.float64) for name in modules]
    if not rows or len({row.shape for row in rows}) != 1 or rows[0].ndim != 1 or not rows[0].size:
        found = {name: len(values) for name, values in activations.items()}
        raise UserError(f"a head activation map needs modules with equally many heads: got {found}.")
    return np.stack(rows)


def _frame(axes: Axes, title: str, rows: int, heads: int, kinds: Mapping[str, slice]) -> None:
    """Title, head numbers, white lines between the cells, and what parts the kinds of heads."""
    axes.set(xlim=(-0.5, heads - 0.5), ylim=(rows - 0.5, -0.5), aspect="equal")
    axes.set_title(title, fontsize=10, color=INK, pad=22 if len(kinds) > 1 else 6)
    axes.set_xticks(range(heads), [str(h) for h in range(heads)], fontsize=8, color=QUIET)
    axes.set_xlabel("head", fontsize=9, color=QUIET)
    axes.spines[:].set_visible(False)
    axes.set_xticks(np.arange(heads + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(rows + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1.2)
    axes.tick_params(which="both", length=0)
    if len(kinds) > 1:
        edge = kinds["routed"].start - 0.5
        axes.plot([edge, edge], [-0.8, rows - 0.5], color=INK, linewidth=1.6, clip_on=False)
        for name, part in kinds.items():
            middle = (part.start + part.stop - 1) / 2
            axes.text(middle, -0.6, name, ha="center", va="bottom", fontsize=8.5, color=QUIET)


def _cells(axes: Axes, values: Matrix, part: slice, colours: str, norm: Normalize, *, dead: bool) -> None:
    """Colour the heads ``part`` of ``values`` and write their weights into the cells."""
    rows = len(values)
    extent = (part.start - 0.5, part.stop - 0.5, rows - 0.5, -0.5)
    image = axes.imshow(values[:, part], cmap=colours, norm=norm, extent=extent, aspect="equal")
    for row in range(rows):
        for head in range(part.start, part.stop):
            value = values[row, head]
            text = "\N{MULTIPLICATION SIGN}" if dead and value < DEAD else _short(value, signed=not dead)
            light = np.dot(image.cmap(norm(value))[:3], (0.3, 0.6, 0.1))
            axes.text(
                head, row, text, ha="center", va="center", fontsize=7, color=INK if light > 0.55 else "white"
            )


def _short(value: float, *, signed: bool) -> str:
    """``0.238`` -> ``.24``; what rounds to nothing is ``0``."""
    text = f"{value:+.2f}" if signed else f"{value:.2f}"
    if float(text) == 0:
        return "0"
    return text.replace("0.", ".", 1).replace("-", "\N{MINUS SIGN}")
