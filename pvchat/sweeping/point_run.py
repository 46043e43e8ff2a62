"""One point of a sweep in a process of its own: run once, go on where it was killed, say how it ended."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from pvchat.errors import UserError
from pvchat.runs import CHECKPOINTS, LAST, write_text
from pvchat.sweeping.locks import hold_soon
from pvchat.sweeping.sweep_folder import ENDED, LOG, Point, SweepFolder, lock_of

ERROR = "pvchat: error: "
LONGEST = 1000  # characters of an error
SECONDS = "seconds.txt"  # what a point has taken so far
WATCH_SECONDS = 10.0  # between two times that they are written
INTERRUPTED = (130, 143, -signal.SIGINT, -signal.SIGTERM)


def run_point(folder: SweepFolder, number: int, *, retry_failed: bool = False) -> int:
    """Status of the command as a shell has it (143 after SIGTERM); where the point had ended before, 1 if it
    had failed. Raises UserError if there is no such point, or it is at work elsewhere."""
    if not 1 <= number <= len(folder.points):
        raise UserError(f"--point must be in 1..{len(folder.points)}: got {number}.")
    point = folder.points[number - 1]
    handle = hold_soon(lock_of(point))
    if handle is None:
        raise UserError(f"a point is done by one process: another is at work on {point.folder}. Wait for it.")
    try:
        return _run_once(folder, point, handle, retry_failed)
    finally:
        os.close(handle)


def _run_once(folder: SweepFolder, point: Point, handle: int, retry_failed: bool) -> int:
    if retry_failed:
        folder.reopen([point])
    if (state := folder.state(point)) in ENDED:
        return int(state == "failed")
    try:
        status = _run(point, handle)
    except OSError as error:
        folder.close(point, "failed", error=f"its command cannot be run: {error}")
        return 1
    if status not in INTERRUPTED:
        seconds = round(_spent(point), 1)
        killed = f"ended by {signal.Signals(-status).name}: " if status < 0 else ""
        failed = {"error": f"{killed}{_last_words(point)}"} if status else {}
        folder.close(point, "failed" if status else "finished", seconds=seconds, **failed)
        folder.check([point])
        status = status or int(folder.state(point) == "failed")
    return status if status >= 0 else 128 - status


def command_of(point: Point) -> list[str]:
    """The agent's command in the point's own run folder; a run that was killed is resumed."""
    words = point.command
    if (point.folder / CHECKPOINTS / LAST).is_file():
        at = words.index("fit") + 1
        return [*words[:at], "--resume", str(point.folder), *words[at:]]
    return [*words, f"--run_dir={point.folder}"]


def _run(point: Point, handle: int) -> int:
    command = command_of(point)
    if "--resume" not in command:
        shutil.rmtree(point.folder, ignore_errors=True)
    point.folder.mkdir(parents=True, exist_ok=True)
    inherited = () if sys.platform == "win32" else (handle,)
    with (
        (point.folder / LOG).open("a", encoding="utf-8") as log,
        subprocess.Popen(command, stdout=log, stderr=log, pass_fds=inherited) as child,
        _passed_on(child),
    ):
        return _watched(child, point)


def _watched(child: subprocess.Popen[bytes], point: Point) -> int:
    """Its status. What the point has taken is on disk meanwhile: a kill may end this, too."""
    before, started = _spent(point), time.monotonic()
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(WATCH_SECONDS)
        with contextlib.suppress(UserError):  # of a full disk, which the training may survive
            write_text(point.folder / SECONDS, f"{before + time.monotonic() - started:.1f}\n")
        if child.returncode is not None:
            return child.returncode


def _spent(point: Point) -> float:
    """Seconds, of all parts of a run that was killed and resumed."""
    try:
        return float((point.folder / SECONDS).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # none yet, or its disk was full
        return 0.0


@contextlib.contextmanager
def _passed_on(child: subprocess.Popen[bytes]) -> Iterator[None]:
    """SIGTERM ends the training, which saves its step; Ctrl-C reaches it anyway."""
    before = {
        signal.SIGTERM: signal.signal(signal.SIGTERM, lambda *_: child.terminate()),
        signal.SIGINT: signal.signal(signal.SIGINT, lambda *_: None),
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _last_words(point: Point) -> str:
    lines = (point.folder / LOG).read_text(encoding="utf-8", errors="replace").splitlines()
    told = [line for line in lines if line.startswith(ERROR)] or [line for line in lines if line.strip()]
    return told[-1].removeprefix(ERROR)[:LONGEST] if told else "it said nothing"


if __name__ == "__main__":
    try:
        sys.exit(run_point(SweepFolder(Path(sys.argv[1])), int(sys.argv[2])))
    except UserError as error:
        print(f"pvchat: error: {error}", file=sys.stderr)
        sys.exit(2)
