"""What came out of a sweep: a row for each setting, its seeds together, and what failed."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

from pvchat.reporting.table import Cell, render_table
from pvchat.sweeping.suggestions import Values
from pvchat.sweeping.sweep_file import described
from pvchat.sweeping.sweep_folder import LOG, Point, SweepFolder

SEED = "seed_everything"


@dataclass(frozen=True)
class Row:
    """A setting without its seed: its ``points``, and the metric of those that have one."""

    values: Values
    points: list[Point]
    scored: list[tuple[Point, float]]

    @property
    def metrics(self) -> list[float]:
        return [metric for _, metric in self.scored]

    @property
    def given(self) -> Values:
        """``values`` and what is the same in all settings."""
        return _setting(self.points[0].values)


def rows_of(folder: SweepFolder) -> list[Row]:
    """Settings in the order of the file. A metric of a run that is not finished counts only where it was
    stopped early."""
    groups: dict[str, list[Point]] = {}
    for point in folder.points:
        groups.setdefault(str(_setting(point.values)), []).append(point)
    return [
        Row(
            {name: points[0].values[name] for name in folder.sweep.swept if name != SEED},
            points,
            [(p, m) for p in points if _counts(folder, p) and (m := folder.metric(p)) is not None],
        )
        for points in groups.values()
    ]


def summary(folder: SweepFolder) -> str:
    """The table in Markdown, the best setting, and the points that failed or are not done."""
    rows, sweep = rows_of(folder), folder.sweep
    header = [*(name for name in sweep.swept if name != SEED), sweep.metric, "least", "most", "runs"]
    cells = [[*map(_text, row.values.values()), *_numbers(row.metrics)] for row in rows]
    parts = [render_table(header, cells, style="markdown")]
    measured = [row for row in rows if row.metrics]
    if measured:
        parts.append(f"Best: {described(best_of(folder, measured).values)}.")
    for point in folder.points:
        about = folder.about(point)
        if about["state"] != "finished":
            why = f": {about['error']} ({point.folder / LOG})" if "error" in about else ""
            parts.append(f"- {point.number} ({described(point.values)}) {about['state']}{why}")
    return "\n\n".join(parts[:2]) + "".join(f"\n{line}" for line in parts[2:])


def best_of(folder: SweepFolder, measured: Sequence[Row]) -> Row:
    """By the mean of its runs."""
    return (max if folder.sweep.maximized else min)(measured, key=lambda row: mean(row.metrics))


def as_json(folder: SweepFolder) -> dict[str, Any]:
    """The same for programs."""
    rows = [
        {"values": r.values, "points": [p.number for p in r.points], "metrics": r.metrics}
        for r in rows_of(folder)
    ]
    return {"metric": folder.sweep.metric, "rows": rows}


def _setting(values: Values) -> Values:
    return {name: value for name, value in values.items() if name != SEED}


def _counts(folder: SweepFolder, point: Point) -> bool:
    return folder.state(point) in ("finished", "stopped")


def _numbers(metrics: Sequence[float]) -> list[Cell]:
    if not metrics:
        return [None, None, None, 0]
    return [mean(metrics), min(metrics), max(metrics), len(metrics)]


def _text(value: Any) -> str:
    return str(value)
