"""Figure 7 in small: which heads react to the person, over the people of a grid.

    python -m benchmarks.heads --out runs/bench --png heads.png

Of the finished runs of ``benchmarks.ablations --table attention``: for each person, how well each routed head
tells held-out clips with the person from others (AUC; 1: fires more in each of them, 0: less), heads of all
modules sorted. Heads have no names across people: only their order can be compared. The ends of a sorted
dozen are off .5 by chance too; the AUC of a head in the table was not chosen on the clips it is scored by."""

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure

from pvchat.errors import UserError

Rows = dict[str, npt.NDArray[np.float64]]
"""Person -> AUC of each routed head, highest first; the mean over seeds."""
VARIANTS = {"moh": "MoH", "remoh": "ReMoH"}
INK, QUIET = "#222222", "#777777"


def main() -> None:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--out", type=Path, required=True, help="folder of the grid")
    parser.add_argument("--png", type=Path, required=True, help="where the picture goes")
    options = parser.parse_args()
    found = reactions(options.out / "runs")
    draw(found, options.png)
    for name, rows in found.items():
        strongest = [float(np.abs(aucs - 0.5).max()) for aucs in rows.values()]
        print(f"{VARIANTS[name]}: {len(rows)} people, the strongest head is {np.mean(strongest):.2f} off .5")


def reactions(runs: Path) -> dict[str, Rows]:
    """By variant of attention. Raises UserError where no run of one is finished."""
    found: dict[str, dict[str, list[list[float]]]] = {name: {} for name in VARIANTS}
    for labels, aucs in _maps(runs):
        if labels["variant"] in found:
            found[labels["variant"]].setdefault(labels["subject"], []).append(sorted(aucs, reverse=True))
    if missing := [name for name, people in found.items() if not people]:
        raise UserError(
            f"the picture needs tested runs of {' and '.join(VARIANTS)} in {runs}: got none of {missing[0]}. "
            "Run benchmarks.ablations --table attention."
        )
    return {
        name: {who: np.mean(seeds, 0) for who, seeds in sorted(people.items())}
        for name, people in found.items()
    }


def _maps(runs: Path) -> Iterator[tuple[Mapping[str, str], list[float]]]:
    for path in sorted(runs.glob("*/head_activation.json")):
        labels = json.loads((path.parent / "labels.json").read_text(encoding="utf-8"))
        modules = json.loads(path.read_text(encoding="utf-8")).get("auc", {})
        if modules:
            yield labels, [auc for aucs in modules.values() for auc in aucs]


def draw(found: Mapping[str, Rows], path: Path) -> None:
    """A panel a variant, a row a person, the mean over people below."""
    heads = max(len(aucs) for rows in found.values() for aucs in rows.values())
    people = max(len(rows) for rows in found.values())
    figure = Figure(
        figsize=(1.1 + len(found) * (0.36 * heads + 0.9), 0.36 * (people + 1) + 1.3), layout="constrained"
    )
    FigureCanvasAgg(figure)
    figure.suptitle(
        "Does a head fire with the person? AUC on held-out clips", x=0.01, ha="left", fontsize=12, color=INK
    )
    for axes, (name, rows) in zip(
        figure.subplots(1, len(found), squeeze=False)[0], found.items(), strict=True
    ):
        values = np.stack([*rows.values(), np.mean(list(rows.values()), 0)])
        image = axes.imshow(values, cmap="RdBu_r", norm=TwoSlopeNorm(0.5, 0.0, 1.0), aspect="auto")
        axes.set_title(VARIANTS[name], fontsize=11, color=INK)
        axes.set_yticks(range(len(values)), [*rows, "mean"], fontsize=9, color=INK)
        axes.set_xticks([0, values.shape[1] - 1], ["fires with", "fires without"], fontsize=8.5, color=QUIET)
        axes.set_xlabel("routed heads, sorted for each person", fontsize=9, color=QUIET)
        axes.axhline(len(rows) - 0.5, color=INK, linewidth=1.5)
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        for (row, head), value in np.ndenumerate(values):
            colour = "white" if abs(value - 0.5) > 0.32 else INK
            axes.text(
                head, row, f"{value:.2f}".lstrip("0"), ha="center", va="center", fontsize=7, color=colour
            )
    figure.colorbar(image, ax=figure.axes, shrink=0.8, pad=0.01).ax.tick_params(length=0, labelsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, facecolor="white", format="png")


if __name__ == "__main__":
    main()
