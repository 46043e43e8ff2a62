"""The folder of a sweep: ``sweep.yaml``, ``points.jsonl``, and for each point a run folder of its number."""

import csv
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from pvchat.errors import UserError
from pvchat.runs import (
    METRICS,
    RECORD,
    open_run,
    read_json,
    read_record,
    write_json,
    write_jsonl,
    write_text,
)
from pvchat.sweeping.locks import is_held
from pvchat.sweeping.suggestions import Trial, Values
from pvchat.sweeping.sweep_file import SweepFile, read_sweep

SWEEP, POINTS, POINT, LOG, LOCK = "sweep.yaml", "points.jsonl", "point.json", "log.txt", ".lock"
State = Literal["pending", "running", "finished", "failed", "stopped"]
ENDED = ("finished", "failed", "stopped")  # what point.json can say
CHANGING = ("parameters", "run_cap", "metric", "description")


@dataclass(frozen=True)
class Point:
    """The ``number``-th point, from 1: its ``command`` is that of an agent, its run is in ``folder``."""

    number: int
    values: Values
    command: list[str]
    folder: Path


class SweepFolder:
    """A sweep that has begun. What a point came to is in its ``point.json``; without one it is to be done."""

    def __init__(self, path: Path) -> None:
        require_sweep(path)
        self.path, self.sweep = path, read_sweep(path / SWEEP)
        try:
            lines = (path / POINTS).read_text(encoding="utf-8").split("\n")[:-1]
            self.points = [self._point(n, **json.loads(line)) for n, line in enumerate(lines, 1)]
        except (ValueError, TypeError) as error:
            raise UserError(
                f"{path / POINTS} must hold values and command of each point: {error}. Give another --out."
            ) from error

    def add(self, values: Sequence[Values]) -> list[Point]:
        """Points that are new, behind the others."""
        first = len(self.points) + 1
        added = [self._point(n, v, self.sweep.command(v)) for n, v in enumerate(values, first)]
        rows = ({"values": p.values, "command": p.command} for p in [*self.points, *added])
        write_jsonl(self.path / POINTS, rows)
        self.points += added
        return added

    def state(self, point: Point) -> State:
        if (point.folder / POINT).is_file():
            state: State = self.about(point)["state"]
            return state
        return "running" if is_held(lock_of(point)) else "pending"

    def close(self, point: Point, state: State, **about: Any) -> None:
        """Write down that nothing more is to be done for ``point``."""
        point.folder.mkdir(parents=True, exist_ok=True)
        write_json(point.folder / POINT, {"state": state, **about})

    def reopen(self, points: Sequence[Point]) -> None:
        """Those that failed are to be done again."""
        for point in points:
            if self.state(point) == "failed":
                (point.folder / POINT).unlink()

    def check(self, points: Sequence[Point]) -> None:
        """Those that ended but cannot be read failed, so that a table of the others can be made."""
        for point in points:
            try:
                if self.state(point) in ("finished", "stopped"):
                    self.metric(point), self.logged(point)
                    if (point.folder / RECORD).is_file():
                        read_record(point.folder)
            except UserError as error:
                self.close(point, "failed", error=str(error))

    def about(self, point: Point) -> dict[str, Any]:
        """``state``, and ``seconds`` or ``error`` once it is done."""
        path = point.folder / POINT
        if not path.is_file():
            return {"state": self.state(point)}
        about = read_json(path)
        if about.get("state") not in ENDED:
            raise UserError(f"{path} must say how its point ended: got {about}. Remove it to do that again.")
        return about

    def metric(self, point: Point, name: str | None = None) -> float | None:
        """The metric of the sweep: as tested, else the last one that was logged; None if it is no number."""
        name = name or self.sweep.metric
        tested = read_json(point.folder / METRICS) if (point.folder / METRICS).is_file() else {}
        if name in tested:
            value = _number(str(tested[name]))
        else:
            value = next(reversed(self._logged(point, name)), None)
        return value if value is not None and math.isfinite(value) else None

    def history(self, point: Point, name: str | None = None) -> list[float]:
        """Every finite value of the metric that was logged."""
        return [v for v in self._logged(point, name or self.sweep.metric) if math.isfinite(v)]

    def _logged(self, point: Point, name: str) -> list[float]:
        path = point.folder / "metrics.csv"
        if not path.is_file():
            return []
        with path.open(newline="", encoding="utf-8", errors="replace") as file:
            texts = [row.get(name) for row in csv.DictReader(file)]
        values = [_number(text) for text in texts if text]
        return [v for v in values if v is not None]

    def logged(self, point: Point) -> set[str]:
        """Names of everything that the run logged."""
        names = set(read_json(point.folder / METRICS)) if (point.folder / METRICS).is_file() else set()
        path = point.folder / "metrics.csv"
        if path.is_file():
            with path.open(newline="", encoding="utf-8", errors="replace") as file:
                names |= set(next(csv.reader(file), []))
        return names

    def trial(self, point: Point) -> Trial:
        """What the search may know of a point."""
        done = self.state(point) in ("finished", "stopped")
        return Trial(point.values, self.metric(point) if done else None)

    def _point(self, number: int, values: Values, command: list[str]) -> Point:
        return Point(number, values, command, self.path / f"{number:04d}")


def lock_of(point: Point) -> Path:
    return point.folder.parent / f".{point.folder.name}.lock"


def require_sweep(path: Path) -> None:
    if not (path / SWEEP).is_file():
        raise UserError(f"the folder of a sweep holds {SWEEP}: {path} does not. Give a sweep file.")


def require_room(path: Path) -> None:
    """Raise UserError where ``path`` holds anything but a sweep."""
    if (path / SWEEP).is_file() or not path.is_dir():
        return
    if any(p.name not in (LOCK, POINTS) for p in path.iterdir()):
        raise UserError(f"a sweep begins in an empty folder: {path} is not. Give another --out.")


def make_folder(path: Path, sweep: SweepFile) -> SweepFolder:
    """Begin ``sweep`` in ``path``, or go on with it; it may have grown. Raises UserError where another sweep
    is there."""
    points = sweep.points()
    if sweep.method != "bayes" and not points:
        raise UserError("a sweep must have a point: its grid is empty. Give values in its file.")
    require_room(path)
    open_run(path)
    if not (path / SWEEP).is_file():
        write_jsonl(path / POINTS, ())
        write_text(path / SWEEP, _text(sweep))
    folder = SweepFolder(path)
    was, now = folder.sweep.config, sweep.config
    changed = sorted(k for k in was.keys() | now.keys() if k not in CHANGING and was.get(k) != now.get(k))
    kept = [p.values for p in folder.points]
    if changed or not _holds(sweep, points, kept):
        what = ", ".join(changed) or "points that are there are no longer in the file"
        raise UserError(f"a folder holds one sweep: {path} has another ({what}). Give another --out.")
    if new := points[len(kept) :] if sweep.method == "random" else [v for v in points if v not in kept]:
        folder.add(new)
    if was != now:
        write_text(path / SWEEP, _text(sweep))
    return SweepFolder(path)


def _holds(sweep: SweepFile, points: Sequence[Values], kept: Sequence[Values]) -> bool:
    """Are the ``kept`` points still of this sweep? Raises UserError without Optuna."""
    if sweep.method == "grid":
        return all(values in points for values in kept)
    if sweep.method == "random":  # the same values may be drawn twice
        return list(points[: len(kept)]) == list(kept)
    try:
        sweep.suggest([Trial(values, None) for values in kept])
    except UserError:
        raise
    except ValueError:  # of Optuna: values are not in the ranges, or have other names
        return False
    return True


def _text(sweep: SweepFile) -> str:
    return yaml.safe_dump(dict(sweep.config), sort_keys=False, width=110)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None  # a line that is being written
