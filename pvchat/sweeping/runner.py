"""Runs the points of a sweep in worker processes: each once, whatever fails or is killed meanwhile."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pvchat.errors import UserError
from pvchat.sweeping.locks import hold_soon
from pvchat.sweeping.sweep_folder import LOCK, Point
from pvchat.sweeping.sweep_progress import Progress

POLL_SECONDS = 0.5
MODULE = "pvchat.sweeping.point_run"


class Runner:
    """The points of ``progress`` on this machine."""

    def __init__(self, *, progress: Progress) -> None:
        self.progress, self.folder = progress, progress.folder
        self._running: dict[int, tuple[Point, subprocess.Popen[bytes]]] = {}
        self._slots: dict[int, int] = {}  # worker of each point

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
        for number in self.progress.give_up(self._running):
            self._running[number][1].terminate()
        busy = self.progress.busy(self._running)
        for slot in sorted(set(range(self.progress.workers)) - {self._slots[n] for n in self._running}):
            if (point := self.progress.next(busy)) is None:
                break
            self._start(point, slot)
            busy.add(point.number)
        return bool(busy)

    def _start(self, point: Point, slot: int) -> None:
        command = [sys.executable, "-m", MODULE, str(self.folder.path), str(point.number)]
        self._running[point.number] = (point, subprocess.Popen(command, env=self._environment(slot)))
        self._slots[point.number] = slot
        self.progress.begun(point)

    def _collect(self) -> None:
        for number, (point, process) in list(self._running.items()):
            if process.poll() is not None:
                del self._running[number]
                self.progress.ended(point, f"its process ended with status {process.returncode}")

    def _environment(self, slot: int) -> dict[str, str]:
        """Cores are shared, and so are the GPUs of $CUDA_VISIBLE_DEVICES, in turn."""
        threads = str(max(1, (os.cpu_count() or 1) // self.progress.workers))
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
