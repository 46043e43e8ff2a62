"""``metrics.csv``: what every run keeps of its training and test."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter
from lightning.pytorch.utilities import rank_zero_only

from pvchat.errors import writing
from pvchat.runs import write_text


class RunLog(CSVLogger):
    """``metrics.csv`` of a run: on disk after every step, continued by what is done with the run later.

    Lightning's own logger deletes what is there, so a run that is resumed or tested would lose its past."""

    def __init__(self, run_dir: Path) -> None:
        super().__init__(run_dir, name=None, version="", flush_logs_every_n_steps=1)
        self._joined: dict[str, float] = {}

    def join(self, metrics: Mapping[str, float]) -> None:
        """Put ``metrics`` into the next row."""
        self._joined |= metrics

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        joined, self._joined = self._joined, {}
        super().log_metrics({**metrics, **joined}, step)

    @property
    @rank_zero_experiment
    def experiment(self) -> "_Continued":
        if not isinstance(self._experiment, _Continued):
            self._experiment = _Continued(self.log_dir)
        return self._experiment


class _Continued(ExperimentWriter):
    """Keeps the rows it finds. The first row of training replaces those from its step on: a killed run had
    gone further than its checkpoint."""

    def __init__(self, log_dir: str) -> None:
        super().__init__(log_dir)
        self._trained = False
        path = Path(self.metrics_file_path)
        if path.is_file():
            with path.open(newline="") as file:
                self.metrics_keys = next(csv.reader(file), [])

    def log_metrics(self, metrics_dict: dict[str, Any], step: int | None = None) -> None:
        if not self._trained and any(name.startswith("train/") for name in metrics_dict):
            self._trained = True
            self._forget_from(step or 0)
        super().log_metrics(metrics_dict, step)

    def save(self) -> None:
        with writing(Path(self.metrics_file_path)):
            super().save()

    def _forget_from(self, step: int) -> None:
        if Path(self.metrics_file_path).is_file():
            self._rewrite([row for row in self._rows() if int(row["step"]) < step])

    def _rewrite_with_new_header(self, fieldnames: list[str]) -> None:
        """Lightning's truncates the file first: a run killed there would lose its log."""
        self._rewrite(self._rows())

    def _rows(self) -> list[dict[str, str]]:
        with Path(self.metrics_file_path).open(newline="") as file:
            # a kill may have torn the last line
            return [row for row in csv.DictReader(file) if None not in row.values()]

    def _rewrite(self, rows: list[dict[str, str]]) -> None:
        kept = io.StringIO()
        writer = csv.DictWriter(kept, self.metrics_keys, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_text(Path(self.metrics_file_path), kept.getvalue())

    def _check_log_dir_exists(self) -> None:
        """Lightning's deletes the file here."""
