"""Runs the points of a sweep in worker processes: each once, whatever fails or is killed meanwhile."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path

from pvchat.errors import UserError
from pvchat.sweeping.hyperband import to_stop
from pvchat.sweeping.locks import hold_soon
from pvchat.sweeping.sweep_file import described
from pvchat.sweeping.sweep_folder import LOCK, LOG, Point, SweepFolder

POLL_SECONDS = 0.5
MODULE = "pvchat.sweeping.point_run"


class Runner:
    """``workers`` points of ``folder`` at a time. What happens is told to ``say``, one line each."""

    def __init__(self, *, folder: SweepFolder, workers: int = 1, say: Callable[[str], None] = print) -> None:
        self.folder, self.workers, self.say = folder, workers, say
        self._running: dict[int, tuple[Point, subprocess.Popen[bytes]]] = {}
        self._slots: dict[int, int] = {}  # worker of each point
        self._stopped: set[int] = set()
        self._done: list[float] = []  # seconds
        self._missed = False

    def run(self) -> None:
        """Until no point is left. Points that a killed sweep left at work are waited for. On an exception,
        Ctrl-C among them, workers are told to end and waited for: they save where they are."""
        try:
            while self._step():
                time.sleep(POLL_SECONDS)
        finally:
            for _, process in self._running.values():
                process.terminate()
            for _, process in self._running.values():
                process.wait()

    def _step(self) -> bool:
        """Look around once; is anything left?"""
        self._collect()
        self._end_early()
        states = {p.number: self.folder.state(p) for p in self.folder.points}
        busy = {n for n, state in states.items() if state == "running"} | self._running.keys()
        for slot in sorted(set(range(self.workers)) - {self._slots[n] for n in self._running}):
            if (point := self._next(busy)) is None:
                break
            self._start(point, slot)
            busy.add(point.number)
        return bool(busy)

    def _next(self, busy: set[int]) -> Point | None:
        for point in self.folder.points:
            if point.number not in busy and self.folder.state(point) == "pending":
                return point
        sweep = self.folder.sweep
        if sweep.method != "bayes" or len(self.folder.points) >= sweep.size:
            return None
        values = sweep.suggest([self.folder.trial(p) for p in self.folder.points])
        return self.folder.add([values])[0]

    def _start(self, point: Point, slot: int) -> None:
        command = [sys.executable, "-m", MODULE, str(self.folder.path), str(point.number)]
        self._running[point.number] = (point, subprocess.Popen(command, env=self._environment(slot)))
        self._slots[point.number] = slot
        self._say(point, "begun")

    def _collect(self) -> None:
        for number, (point, process) in list(self._running.items()):
            if process.poll() is None:
                continue
            del self._running[number]
            if number in self._stopped:
                self.folder.close(point, "stopped")
            elif self.folder.state(point) == "pending":
                why = f"its process ended with status {process.returncode}"
                self.folder.close(point, "failed", error=why)
            if self.folder.state(point) != "running":  # its process was killed, its training was not
                self._tell(point)

    def _tell(self, point: Point) -> None:
        about, value = self.folder.about(point), self.folder.metric(point)
        state = about["state"]
        if state == "failed":
            what = f"failed: {about['error']} ({point.folder / LOG})"
        else:
            what = f"{state}, {self.folder.sweep.metric} {'-' if value is None else f'{value:.3f}'}"
            self._done += [about["seconds"]] if "seconds" in about else []
        self.say(
            f"[{point.number}/{len(self.folder.points)}] {described(point.values)}: {what}{self._left()}"
        )
        if state == "finished" and value is None and not self._missed:
            self._missed = True
            self.say(missing_metric(self.folder, point))

    def _say(self, point: Point, what: str) -> None:
        self.say(f"[{point.number}/{self.folder.sweep.size}] {described(point.values)}: {what}")

    def _left(self) -> str:
        points, total = self.folder.points, self.folder.sweep.size
        done = sum(self.folder.state(p) in ("finished", "failed", "stopped") for p in points)
        if not self._done or done == total:
            return ""
        mean = sum(self._done) / len(self._done)
        return f"; {mean * (total - done) / self.workers / 3600:.2f} hours left"

    def _end_early(self) -> None:
        """What hyperband gives up on."""
        settings = self.folder.sweep.config.get("early_terminate")
        if not self._running or settings is None:
            return
        histories = {p.number: self.folder.history(p) for p in self.folder.points}
        running = {str(n): histories.pop(n) for n in self._running}
        maximize = self.folder.sweep.maximized
        for name in to_stop(running, list(histories.values()), settings, maximize=maximize):
            if int(name) not in self._stopped:
                self._stopped.add(int(name))
                self._running[int(name)][1].terminate()

    def _environment(self, slot: int) -> dict[str, str]:
        """Cores are shared, and so are the GPUs of $CUDA_VISIBLE_DEVICES, in turn."""
        threads = str(max(1, (os.cpu_count() or 1) // self.workers))
        environment = {"OMP_NUM_THREADS": threads} | os.environ
        if len(gpus := os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")) > 1:
            environment["CUDA_VISIBLE_DEVICES"] = gpus[slot % len(gpus)]
        return environment


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """One sweep process in a folder. Raises UserError where another is at work."""
    handle = hold_soon(path / LOCK)
    if handle is None:
        raise UserError(
            f"a sweep is run by one process: another is at work in {path}. Wait for it or end it."
        )
    try:
        yield
    finally:
        os.close(handle)


def missing_metric(folder: SweepFolder, point: Point) -> str:
    """The sentence about a metric that a finished run does not have."""
    name, names = folder.sweep.metric, sorted(folder.logged(point))
    near = get_close_matches(name, names, 3) or names[:3]
    return (
        f"note: metric.name must be something that runs log: {point.folder} has no {name!r}, but "
        f"{', '.join(near) or 'nothing'}. The points go on; correct the file and call the sweep again, "
        "which keeps what is finished."
    )
