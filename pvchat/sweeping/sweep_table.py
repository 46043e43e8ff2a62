"""What came out of a sweep: a row for each setting, its seeds together, and what failed."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

from pvchat.reporting.table import Cell, render_table
from pvchat.runs import RECORD, read_record
from pvchat.statistics import subject_means
from pvchat.sweeping.suggestions import Values
from pvchat.sweeping.sweep_file import described
from pvchat.sweeping.sweep_folder import LOG, Point, SweepFolder

SEED = "seed_everything"
PATHS = ("data.source.path", "data.source.init_args.path")


@dataclass(frozen=True)
class Row:
    """A setting: its ``values``, its ``points``, a run for each seed and person, and the metric of those
    that have one."""

    values: Values
    given: Values  # and what is the same in all settings
    points: list[Point]
    scored: list[tuple[Point, float]]

    @property
    def metrics(self) -> list[float]:
        return [metric for _, metric in self.scored]

    @property
    def mean(self) -> float:
        """Over subjects, runs of each averaged inside, as the intervals of the page are."""
        return mean(subject_means(self.metrics, [unit_of(point) for point, _ in self.scored]).values())


def rows_of(folder: SweepFolder) -> list[Row]:
    """Settings in the order of the file. A metric of a run that is not finished counts only where it was
    stopped early."""
    names, aside = settings_of(folder), _averaged(folder)
    groups: dict[str, tuple[Values, list[Point]]] = {}
    for point in folder.points:
        given = {name: value for name, value in point.values.items() if name not in aside}
        groups.setdefault(str(given), (given, []))[1].append(point)
    return [
        Row(
            {name: given[name] for name in names},
            given,
            points,
            [(p, m) for p in points if _counts(folder, p) and (m := folder.metric(p)) is not None],
        )
        for given, points in groups.values()
    ]


def summary(folder: SweepFolder) -> str:
    """The table in Markdown, the best setting, and the points that failed or are not done."""
    rows, sweep = rows_of(folder), folder.sweep
    header = [*settings_of(folder), sweep.metric, "least", "most", "runs"]
    cells = [[*map(_text, row.values.values()), *_numbers(row)] for row in rows]
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
    """By its mean."""
    return (max if folder.sweep.maximized else min)(measured, key=lambda row: row.mean)


def settings_of(folder: SweepFolder) -> list[str]:
    """Names of what is compared."""
    aside = _averaged(folder)
    return [name for name in folder.sweep.swept if name not in aside]


def _averaged(folder: SweepFolder) -> set[str]:
    """Names of what a setting is averaged over: the seed, and the data where each is of another person."""
    names = {SEED}
    for name in set(PATHS) & set(folder.sweep.swept):
        done = [point for point in folder.points if _counts(folder, point)]
        pairs = {(str(point.values[name]), unit_of(point)) for point in done}
        known = [(path, who) for path, who in pairs if who]
        if len(known) > 1 and all(len(set(column)) == len(known) for column in zip(*known, strict=True)):
            names.add(name)
    return names


def unit_of(point: Point) -> str:
    """The persons that a run has learned."""
    if not (point.folder / RECORD).is_file():
        return ""
    return "+".join(read_record(point.folder).get("subjects", []))


def as_json(folder: SweepFolder) -> dict[str, Any]:
    """The same for programs."""
    rows = [
        {"values": r.values, "points": [p.number for p in r.points], "metrics": r.metrics}
        for r in rows_of(folder)
    ]
    return {"metric": folder.sweep.metric, "rows": rows}


def _counts(folder: SweepFolder, point: Point) -> bool:
    return folder.state(point) in ("finished", "stopped")


def _numbers(row: Row) -> list[Cell]:
    metrics = row.metrics
    if not metrics:
        return [None, None, None, 0]
    return [row.mean, min(metrics), max(metrics), len(metrics)]


def _text(value: Any) -> str:
    return str(value)
