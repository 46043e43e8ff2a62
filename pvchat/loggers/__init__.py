"""Where metrics are logged: each ``LoggerName`` adds to those before it, all see the same names."""

import os
from pathlib import Path
from typing import Literal, get_args

from lightning.pytorch.loggers import Logger

from pvchat.loggers.event_log import EventLog
from pvchat.loggers.run_log import RunLog
from pvchat.loggers.wandb_log import SWEEP, WandbLog

LoggerName = Literal["csv", "tensorboard", "wandb", "wandb-online"]


def make_loggers(name: LoggerName, run_dir: Path, project: str) -> list[Logger]:
    """The Lightning loggers behind ``--logger``. A run that ``wandb agent`` started reports to it, unless CSV
    is all that is asked for. Raises UserError without an API key, where one is needed."""
    many = get_args(LoggerName).index(name)
    loggers: list[Logger] = [RunLog(run_dir)]
    if many >= 1:
        loggers.append(EventLog(run_dir))
    in_sweep = many >= 1 and SWEEP in os.environ
    if many >= 2 or in_sweep:
        loggers.append(WandbLog(run_dir, project, online=name == "wandb-online" or in_sweep))
    return loggers
