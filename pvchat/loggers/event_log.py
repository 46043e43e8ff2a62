"""TensorBoard's event files, in the folder ``tensorboard`` of a run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers import TensorBoardLogger
from torch.utils.tensorboard import SummaryWriter

FLUSH_SECONDS = 20  # what a kill may take; metrics.csv loses nothing


class EventLog(TensorBoardLogger):
    """Continued by what is done with the run later. The first step of a training takes back those from it on
    that a killed one had logged, as in ``metrics.csv``: TensorBoard leaves out what such a mark precedes."""

    def __init__(self, run_dir: Path) -> None:
        super().__init__(run_dir, name=None, version="tensorboard")
        self._trained = False

    @property
    @rank_zero_experiment
    def experiment(self) -> SummaryWriter:
        if self._experiment is None:
            self._experiment = _LateWriter(self.log_dir, flush_secs=FLUSH_SECONDS)
        return self._experiment

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        if metrics:
            self.prepare(next(iter(metrics)), step or 0)
            super().log_metrics(metrics, step)

    def prepare(self, name: str, step: int) -> None:
        """To be called before the writer is used for ``name`` at ``step``."""
        if self._trained or not name.startswith("train/"):
            return
        self._trained = True
        if any(Path(self.log_dir).glob("events.*")):
            from tensorboard.compat.proto.event_pb2 import Event, SessionLog

            mark = Event(step=step, session_log=SessionLog(status=SessionLog.START))
            self.experiment._get_file_writer().add_event(mark, step)

    def save(self) -> None:
        """Nothing. Lightning calls it after each step, where waiting for the disk takes 10 ms, and writes
        hyperparameters, which are in ``config.yaml``, to a file."""

    def finalize(self, status: str) -> None:
        if self._experiment is not None:
            self._experiment.close()
            self._experiment = None


class _LateWriter(SummaryWriter):
    """Makes its file with the first entry: Lightning asks for the writer before it is known whether the run
    begins at all, and a run that is refused leaves nothing."""

    _ready = False

    def __init__(self, log_dir: str, *, flush_secs: int) -> None:
        super().__init__(log_dir, flush_secs=flush_secs)
        self._ready = True

    def _get_file_writer(self) -> Any:
        return super()._get_file_writer() if self._ready else None  # type: ignore[no-untyped-call]
