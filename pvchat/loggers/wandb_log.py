"""W&B: offline into the run folder, or online; a server that is gone stops no training."""

import atexit
import hashlib
import os
import shlex
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities import rank_zero_only

from pvchat.errors import UserError

PROJECT = "pvchat"
SWEEP = "WANDB_SWEEP_ID"  # set by `wandb agent` for the runs that it starts
START_SECONDS, END_SECONDS = 30.0, 60.0  # what a server that does not answer may take of a run's time
STEP = "trainer/global_step"

_started: dict[str, int] = {}  # ids of runs, and the exit code that each ends with


class WandbLog(WandbLogger):
    """One W&B run for a run folder: what resumes or tests it later continues it. Inside a sweep it is the run
    of the agent, elsewhere a run that somebody else began in this process is used.

    What is logged goes to disk first, also online: when the server is gone the training goes on, and how to
    send what it did not get is said when the process ends."""

    def __init__(self, run_dir: Path, name: str, *, online: bool) -> None:
        if online:
            _check_login()
        super().__init__(name=f"{name}-{run_dir.name}", save_dir=run_dir, offline=not online, project=PROJECT)
        if SWEEP not in os.environ:
            self._id = _run_id(run_dir.absolute(), name)

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        if self._experiment is None:
            self._experiment = self._begin()
        return self._experiment

    def _begin(self) -> Any:
        import wandb

        if wandb.run is not None and wandb.run.id in _started.keys() - {self._id}:
            _end()  # of another run folder
        run = wandb.run or self._init()
        _started.setdefault(run.id, 0)
        run.define_metric(STEP)
        run.define_metric("*", step_metric=STEP, step_sync=True)
        return run

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """The run ends with the process, since a test may follow; here is noted how."""
        super().finalize(status)
        if self._experiment is not None:
            _started[self._experiment.id] = int(status == "failed")

    def _init(self) -> Any:
        import wandb

        ours = {} if SWEEP in os.environ else {"id": self._id, "project": PROJECT, "resume": "allow"}
        given: dict[str, Any] = {"name": self._name, "dir": self._save_dir, **ours}
        given["settings"] = wandb.Settings(
            init_timeout=START_SECONDS,
            finish_timeout=END_SECONDS,
            finish_timeout_raises=True,
            max_end_of_run_history_metrics=0,  # its own summary would follow what is to be sent
            max_end_of_run_summary_metrics=0,
        )
        if not self._offline:
            try:
                run = wandb.init(**given)  # offline nevertheless where WANDB_MODE says so
                atexit.register(_end)  # before W&B's own end, which does not say what it could not send
                return run
            except wandb.errors.CommError as error:
                print(
                    f"W&B does not take the run ({_first_line(error)}): it is logged offline. Send it later: "
                    f"wandb sync {self._save_dir}/wandb/offline-run-*",
                    file=sys.stderr,
                )
                wandb.teardown()  # it would hold the id
        given.pop("resume", None)  # wandb says that it cannot, offline
        return wandb.init(**given, mode="offline")


def show_config(logger: WandbLogger, config: Mapping[str, Any]) -> None:
    """The resolved ``config`` of a run. What a sweep has set stays as it is."""
    run_config = logger.experiment.config
    swept = set(run_config.keys()) if SWEEP in os.environ else set()
    run_config.update({k: v for k, v in config.items() if k not in swept}, allow_val_change=True)


def _end() -> None:
    """Ends the run at work. A plain ``wandb sync``, W&B's own advice, skips runs that began online."""
    import wandb

    run = wandb.run
    if run is None or run.id not in _started:
        return
    try:
        run.finish(exit_code=_started[run.id])
    except (TimeoutError, KeyboardInterrupt):
        print(
            "W&B did not get all of the run, which is whole on disk. Send it later: "
            f"wandb sync --include-online {shlex.quote(run.settings.sync_dir)}",
            file=sys.stderr,
        )


def _check_login() -> None:
    """W&B itself would find out after the whole set-up. Whether a key is right shows when the run begins."""
    import wandb

    if os.environ.get("WANDB_MODE", "online") not in ("online", "run"):
        return
    try:
        found = wandb.login(prompt=False)
    except wandb.errors.CommError:  # of a server that does not answer, or does not know the key
        return
    if not found:
        raise UserError(
            "--logger wandb-online needs an API key of W&B: got none. "
            "Run `wandb login` first, or log with --logger wandb and `wandb sync` later."
        )


def _run_id(run_dir: Path, name: str) -> str:
    """The same whenever the folder is used, and no other's."""
    place = hashlib.sha256(f"{uuid.getnode()} {run_dir}".encode()).hexdigest()[:8]
    plain = "".join(c if c.isalnum() or c in "-_" else "-" for c in f"{name}-{run_dir.name}")
    return f"{plain[-100:]}-{place}"


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")
