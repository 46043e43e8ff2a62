"""One page about a sweep: what its points came to, what matters, how they trained, the best as a config."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from statistics import mean
from typing import Any

import yaml
from omegaconf import OmegaConf

from pvchat.reporting.curves import Curve, plot_curves, read_curves
from pvchat.reporting.page import drawing, heading, listing, paragraph, render_page, table
from pvchat.reporting.sweep_plots import plot_parallel_coordinates, plot_value_curve
from pvchat.reporting.table import Cell
from pvchat.runs import read_config
from pvchat.statistics import Interval, bootstrap_interval, subject_means
from pvchat.sweeping.suggestions import Values, is_number
from pvchat.sweeping.sweep_file import described
from pvchat.sweeping.sweep_folder import Point, SweepFolder
from pvchat.sweeping.sweep_table import Row, best_of, rows_of, settings_of, unit_of

PAPER: Mapping[str, Mapping[float, float]] = {
    "num_soft_tokens": {0: 0.801, 4: 0.871, 8: 0.890, 12: 0.895, 16: 0.922, 20: 0.882}
}
"""Accuracies of table S1."""
FEW = 2  # a curve over as many values would be a line


def render_sweep(folder: SweepFolder) -> str:
    """HTML in one file."""
    return render_page(f"pvchat sweep: {folder.path.absolute().name}", _parts(folder))


def best_config(folder: SweepFolder) -> str | None:
    """The :func:`overlay` of the best setting, None where no point has the metric."""
    measured = [row for row in rows_of(folder) if row.metrics]
    if not measured:
        return None
    best = best_of(folder, measured)
    about = f"# The best of {len(measured)} settings by {folder.sweep.metric}: {best.mean:.3f}"
    return f"{about} ({len(best.metrics)} runs).\n{overlay(best.given)}"


def overlay(values: Values) -> str:
    """A config that sets what ``values`` do, to be given after the experiment: the ``-c`` file of the point,
    then its other values."""
    config: Any = OmegaConf.create()
    for name, value in values.items():
        given = _read(value) if isinstance(value, str) else value
        if name == "config":
            config = OmegaConf.merge(config, read_config(Path(value)))
        else:
            OmegaConf.update(config, name, given, force_add=True)
    return OmegaConf.to_yaml(config)


def _read(text: str) -> Any:
    """As an agent's flags are read: what is no YAML is a word, and so is a date."""
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError:
        return text
    return text if isinstance(found, date) else found


def _parts(folder: SweepFolder) -> Iterator[str]:
    sweep, rows = folder.sweep, rows_of(folder)
    states = [folder.state(point) for point in folder.points]
    counts = ", ".join(f"{states.count(s)} {s}" for s in dict.fromkeys(states))
    yield paragraph(f"{sweep.method} search over {', '.join(sweep.swept)}. Runs: {counts}.")
    yield from _table(folder, rows)
    measured = [row for row in rows if row.metrics]
    if measured:
        yield from _pictures(folder, measured)
        yield from _training(measured)
        best = best_of(folder, measured)
        yield heading("The best as a config")
        yield paragraph(f"{described(best.values)}. Give it after the experiment, with -c.")
        yield listing(overlay(best.given))
    yield from _left_out(folder)


def _table(folder: SweepFolder, rows: Sequence[Row]) -> Iterator[str]:
    yield heading("Settings")
    units = {unit_of(point) for row in rows for point, _ in row.scored}
    names = settings_of(folder)
    cells: list[list[Cell]] = [
        [*(str(row.values[n]) for n in names), _joined([row]) if row.metrics else None, len(row.metrics)]
        for row in rows
    ]
    yield table([*(n.rpartition(".")[2] for n in names), folder.sweep.metric, "runs"], cells)
    over = "subjects, seeds averaged inside" if len(units) > 1 else "seeds, of one subject: not over people"
    yield paragraph(f"Intervals: 95 %, bootstrap over {over}.", kind="quiet")


def _pictures(folder: SweepFolder, rows: Sequence[Row]) -> Iterator[str]:
    metric, names = folder.sweep.metric, settings_of(folder)
    points = [({n: row.values[n] for n in names}, row.mean) for row in rows]
    if names:
        yield heading("All settings at once")
        figure = plot_parallel_coordinates(points, metric=metric, maximized=folder.sweep.maximized)
        yield drawing(figure, alt="parallel coordinates of the swept values and the metric")
    for name in names:
        if not all(is_number(row.values[name]) for row in rows):
            continue
        values = {row.values[name] for row in rows}
        if len(values) <= FEW:
            continue
        short = name.rpartition(".")[2]
        curve = {v: _joined([row for row in rows if row.values[name] == v]) for v in values}
        yield heading(f"Over {short}")
        yield drawing(
            plot_value_curve(curve, value=short, metric=metric, paper=PAPER.get(short)),
            alt=f"{metric} over {short}",
        )
        if len(names) > 1:
            yield paragraph("Everything else that is swept is averaged.", kind="quiet")


def _training(rows: Sequence[Row]) -> Iterator[str]:
    curves = {described(row.values): _mean_curves([point for point, _ in row.scored]) for row in rows}
    if (figure := plot_curves(curves)) is not None:
        yield heading("Training, seeds averaged")
        yield drawing(figure, alt="loss, regularisers, lambda and active rate over steps, a line a setting")


def _left_out(folder: SweepFolder) -> Iterator[str]:
    rows: list[list[Cell]] = []
    for point in folder.points:
        about = folder.about(point)
        if about["state"] != "finished":
            rows.append([point.number, described(point.values), about["state"], about.get("error", "")])
    if rows:
        yield heading("Not finished")
        yield table(["run", "values", "state", "why"], rows)


def _joined(rows: Sequence[Row]) -> Interval | float:
    """Over subjects, seeds averaged inside; over runs where there is one subject."""
    known = [pair for row in rows for pair in row.scored]
    means = subject_means([m for _, m in known], [unit_of(p) for p, _ in known])
    values = list(means.values()) if len(means) > 1 else [m for _, m in known]
    return bootstrap_interval(values) if len(values) > 1 else values[0]


def _mean_curves(points: Sequence[Point]) -> Mapping[str, Curve]:
    """Over seeds, at each step that all of them have logged."""
    files = [p.folder / "metrics.csv" for p in points]
    found = [read_curves(f) for f in files if f.is_file()]
    names = set.intersection(*(set(c) for c in found)) if found else set()
    joined = {}
    for name in names:
        values = [dict(curves[name]) for curves in found]
        steps = sorted(set.intersection(*(set(v) for v in values)))
        joined[name] = [(step, mean(v[step] for v in values)) for step in steps]
    return joined
