"""``pvchat sweep FILE``: the points of a W&B sweep file, run here, planned for a cluster, or one of them."""

import argparse
import multiprocessing
import shlex
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

from pvchat.errors import UserError
from pvchat.ray_cluster import require_ray
from pvchat.runs import open_run, write_json, write_text
from pvchat.sweeping.point_run import run_point
from pvchat.sweeping.runner import Runner, alone
from pvchat.sweeping.sweep_file import described, read_sweep
from pvchat.sweeping.sweep_folder import (
    ENDED,
    LOG,
    SWEEP,
    SweepFolder,
    make_folder,
    require_room,
    require_sweep,
)
from pvchat.sweeping.sweep_page import best_config, render_sweep
from pvchat.sweeping.sweep_progress import Progress
from pvchat.sweeping.sweep_table import as_json, summary

if TYPE_CHECKING:
    from pvchat.sweeping.ray_runner import RayRunner

SUMMARY = "summary"  # .md, .json and .html
BEST = "best.yaml"


def main(options: argparse.Namespace) -> None:
    """Exit with 1 where a point failed."""
    file = Path(options.sweep)
    if options.point is not None:
        return _run_one(SweepFolder(file if file.is_dir() else _out(options)), options)
    with _begun(file, options) as folder:
        if options.plan:
            return _plan(folder, options)
        folder.check(folder.points)
        if options.retry_failed:
            folder.reopen(folder.points)
        _announce(folder, options.workers)
        _runner(Progress(folder=folder, workers=options.workers, say=_say), options.ray).run()
        folder.check(folder.points)
        _summarise(folder)
        if failed := [p for p in folder.points if folder.state(p) == "failed"]:
            again = f"pvchat sweep {shlex.quote(str(folder.path))} --retry-failed"
            _say(f"{len(failed)} of the points failed. Do them again, from where they were: {again}")
            raise SystemExit(1)


def _run_one(folder: SweepFolder, options: argparse.Namespace) -> None:
    """As a job of an array does, whose output is all that is seen of it."""
    status = run_point(folder, options.point, retry_failed=options.retry_failed)
    point = folder.points[options.point - 1]
    about = folder.about(point)
    how = about["state"]
    if how == "failed":
        how += f": {about['error']} ({point.folder / LOG}). Do it again with --retry-failed"
    _say(f"[{point.number}/{folder.sweep.size}] {described(point.values)}: {how}.")
    raise SystemExit(status)


def _runner(progress: Progress, address: str | None) -> "Runner | RayRunner":
    """Here, or on Ray at ``address``, empty for a local cluster."""
    if address is None:
        return Runner(progress=progress)
    require_ray("--ray")
    from pvchat.sweeping.ray_runner import RayRunner

    return RayRunner(progress=progress, address=address or None)


@contextmanager
def _begun(file: Path, options: argparse.Namespace) -> Iterator[SweepFolder]:
    """Its folder, ours alone before anything is written there."""
    if file.is_dir():
        if options.more or options.base or options.out:
            raise UserError(
                "a sweep that has begun keeps its options: got some. Give its file and --out to change them."
            )
        require_sweep(file)
        with alone(file):
            yield SweepFolder(file)
        return
    if options.base and not Path(options.base).is_file():
        raise UserError(f"--base must be an experiment: {options.base} is no file. Give its path.")
    sweep = read_sweep(file, more=options.more, base=options.base)
    out = _out(options)
    require_room(out)
    with alone(open_run(out)):
        yield make_folder(out, sweep)


def _plan(folder: SweepFolder, options: argparse.Namespace) -> None:
    if folder.sweep.method == "bayes":
        raise UserError(
            "points of bayes depend on one another, so no array of jobs can run them: take random."
        )
    from pvchat.sweeping.sweep_plan import plan_sweep  # torch, whose memory the runs of a sweep need

    hours = options.hours_per_job
    print(plan_sweep(folder, device=options.device, hours_per_job=hours, workers=options.workers))


def _out(options: argparse.Namespace) -> Path:
    return Path(options.out or Path("runs") / "sweeps" / Path(options.sweep).stem)


def _announce(folder: SweepFolder, workers: int) -> None:
    """How much is to be done, before it begins."""
    about = [folder.about(p) for p in folder.points]
    done = sum(a["state"] in ENDED for a in about)
    left = folder.sweep.size - done
    _say(f"{folder.path / SWEEP}: {folder.sweep.size} runs, {done} of them done, {workers} at a time.")
    seconds = [a["seconds"] for a in about if a["state"] == "finished"]
    if left and seconds:
        _say(f"Expected: {mean(seconds) * left / workers / 3600:.2f} hours, as those that are done.")
    elif left and "pvchat" in str(folder.sweep.config.get("program")):
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            try:
                hours = pool.submit(_expected_hours, folder.path).result()
            except Exception:  # its process may be killed, for want of memory; the sweep needs no estimate
                hours = None
        roughly = "not known before the first is done" if hours is None else f"{hours * left:.2f} hours"
        _say(f"Expected by the plan, training alone: {roughly}; after the first run it is measured.")


def _expected_hours(folder: Path) -> float | None:
    from pvchat.sweeping.sweep_plan import expected_hours

    return expected_hours(folder)


def _summarise(folder: SweepFolder) -> None:
    text = summary(folder)
    write_text(folder.path / f"{SUMMARY}.md", text + "\n")
    write_json(folder.path / f"{SUMMARY}.json", as_json(folder))
    write_text(folder.path / f"{SUMMARY}.html", render_sweep(folder))
    best = best_config(folder)
    if best is not None:
        write_text(folder.path / BEST, best)
    print(
        f"\n{text}\n\nTable: {folder.path / SUMMARY}.md; page: {folder.path / SUMMARY}.html"
        + (f"; the best setting, for -c: {folder.path / BEST}" if best else "")
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
