"""What a sweep will cost on rented GPUs, and the SLURM script that runs it there."""

import math
import shlex
import time
from pathlib import Path

import torch

from pvchat.errors import UserError
from pvchat.planning.devices import DEVICES
from pvchat.planning.plan_command import simulate
from pvchat.planning.report import STAGES, needed_gigabytes, training_hours
from pvchat.runs import write_text
from pvchat.sweeping.sweep_folder import Point, SweepFolder

SCRIPT = "slurm.sh"
SHARE = 0.35  # of a device's speed that is reached, as `pvchat plan` assumes
MARGIN = 2.0  # of a job's time over the plan, which knows neither decoding nor testing
_SLURM = """#!/usr/bin/env bash
# {runs} points of {folder}, {hours:.2f} planned hours each. Preempted jobs go on: sbatch {script}
# Before, where there is internet: pvchat assets prefetch. Afterwards: pvchat sweep {folder} for the table.
#SBATCH --job-name=pvchat-sweep
#SBATCH --array=1-{runs}{at_a_time}
#SBATCH --gres=gpu:1
#SBATCH --cpus-per-task=8
#SBATCH --mem=64G
#SBATCH --time={time}
#SBATCH --requeue
#SBATCH --signal=B:TERM@180
#SBATCH --open-mode=append
set -u
srun pvchat sweep {folder} --point "$SLURM_ARRAY_TASK_ID" &
point=$!
trap 'kill -TERM "$point"' TERM # the training finishes its step and saves it
wait "$point"
status=$?
if [ "$status" -ge 128 ]; then # the wait was interrupted, not the training
    wait "$point"
    status=$?
fi
if [ "$status" -eq 143 ]; then
    scontrol requeue "${{SLURM_ARRAY_JOB_ID}}_$SLURM_ARRAY_TASK_ID"
fi
exit "$status"
"""


def plan_sweep(folder: SweepFolder, *, device: str, hours_per_job: float | None, workers: int) -> str:
    """A page on number, hours and memory of the runs; leaves ``slurm.sh`` in the folder. The first point
    stands for all. Raises UserError."""
    gpu, first, runs = DEVICES[device], first_point(folder), folder.sweep.size
    done = simulate(options_of(first))
    hours = training_hours(done.plan, gpu, done.steps, SHARE)
    needed = needed_gigabytes(done.plan, done.plan.configured)
    script = write_script(folder, hours=hours, hours_per_job=hours_per_job, workers=workers)
    steps = "the corpus" if done.known else "the paper's number of questions (no corpus yet)"
    fits = "fits" if needed <= gpu.gigabytes else "does not fit"
    return (
        f"{runs} runs, {hours:.2f} hours each by {steps} at {SHARE:.0%} of the speed of {gpu.label}: "
        f"{runs * hours:.1f} GPU hours, testing not counted.\n"
        f"{needed:.1f} GB of {gpu.gigabytes:g} GB are needed: {fits}. Planned from point {first.number}.\n"
        f"sbatch {script}"
    )


def expected_hours(folder: Path) -> float | None:
    """Of training one point on this machine, at the speed of a matrix product here; None where the first
    point cannot be planned. For a process of its own: torch takes memory that the runs need."""
    try:
        done = simulate(options_of(first_point(SweepFolder(folder))))
    except UserError:
        return None
    flops = sum(done.steps[stage] * done.plan.steps[stage, done.plan.configured].flops for stage in STAGES)
    return flops / (SHARE * _speed()) / 3600


def _speed() -> float:
    """Operations a second of a matrix product in float32."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    a = torch.rand(1024, 1024, device=device)
    (a @ a).sum().item()
    started = time.perf_counter()
    for _ in range(10):
        b = a @ a
    b.sum().item()
    return float(10 * 2 * 1024**3 / (time.perf_counter() - started))


def write_script(folder: SweepFolder, *, hours: float, hours_per_job: float | None, workers: int) -> Path:
    """The array, ``workers`` jobs at a time if more than 1; each may take ``hours_per_job``."""
    script = folder.path / SCRIPT
    minutes = max(10, math.ceil(60 * (hours_per_job or MARGIN * hours)))
    text = _SLURM.format(
        runs=len(folder.points),
        folder=shlex.quote(str(folder.path)),
        script=shlex.quote(str(script)),
        hours=hours,
        at_a_time=f"%{workers}" if workers > 1 else "",
        time=f"{minutes // 60:02d}:{minutes % 60:02d}:00",
    )
    write_text(script, text)
    return script


def first_point(folder: SweepFolder) -> Point:
    """Of bayes, which has none yet, one is drawn."""
    return folder.points[0] if folder.points else folder.add([folder.sweep.suggest([])])[0]


def options_of(point: Point) -> list[str]:
    """What follows ``fit`` in the command of a point."""
    return point.command[point.command.index("fit") + 1 :]
