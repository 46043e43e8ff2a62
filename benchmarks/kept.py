"""Metrics of finished runs that are part of the project, so that a grid of hours goes on anywhere.

A line of ``benchmarks/results/*.jsonl`` is one run: the key of its cell (:class:`benchmarks.grid.Cell`), its
labels, the commit it ran at and the metrics that tables are made of. Predictions and curves stay in
the run folder.
"""

import json
import math
import subprocess
from collections.abc import Mapping
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
KINDS = ("train/", "seconds/", "test/threshold", "test/main/")
DIGITS = 6


class Kept:
    """Runs of ``folder``; those that are added go into its file ``name``.jsonl."""

    def __init__(self, name: str, *, folder: Path = RESULTS) -> None:
        self._path = folder / f"{name}.jsonl"
        lines = [line for p in sorted(folder.glob("*.jsonl")) for line in p.read_text().splitlines()]
        self._metrics: dict[str, dict[str, float]] = {r["key"]: r["metrics"] for r in map(json.loads, lines)}

    def get(self, key: str) -> dict[str, float] | None:
        """Metrics of the run with this key, from whichever table it was trained for."""
        return self._metrics.get(key)

    def add(self, key: str, labels: Mapping[str, str], metrics: Mapping[str, float]) -> None:
        """One line at the end of the file; nothing if the run is there."""
        if key in self._metrics:
            return
        self._metrics[key] = {k: _short(v) for k, v in metrics.items() if _in_tables(k) and math.isfinite(v)}
        line = {"key": key, "labels": dict(labels), "commit": _commit(), "metrics": self._metrics[key]}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")


def _in_tables(metric: str) -> bool:
    """All of the main test, and whether a control finds the person."""
    return metric.startswith(KINDS) or metric.endswith("/presence_auc")


def _short(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    found = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True)
    return found.stdout.strip() or "unknown"
