"""A command that writes down what it does on disk, or dies (SIGKILL) at one of these moments: just before a
file in a folder is opened to be written, renamed or removed."""

import os
import re
import signal
import sys

from pvchat.cli import main

FOLDER, LOG, MOMENT = (f"PVCHAT_TEST_{name}" for name in ("FOLDER", "LOG", "MOMENT"))


def _moment(event: str, arguments: tuple[object, ...]) -> str | None:
    """Name of an event, the same in each run; None for one that changes nothing in the folder."""
    if event not in ("open", "os.rename", "os.remove") or (event == "open" and "w" not in str(arguments[1])):
        return None
    path = str(arguments[1 if event == "os.rename" else 0])
    folder = os.environ[FOLDER]
    if not path.startswith(folder) or path.endswith(".lock"):
        return None
    return re.sub(r"\.\d+\.tmp$", ".tmp", f"{event} {path[len(folder) + 1 :]}")


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if (moment := _moment(event, arguments)) is None:
        return
    if os.environ.get(LOG):
        with open(os.environ[LOG], "a", encoding="utf-8") as file:
            file.write(f"{moment}\n")
    if moment == os.environ.get(MOMENT):
        os.kill(os.getpid(), signal.SIGKILL)


def run(arguments: list[str], environment: dict[str, str], said: str) -> None:
    """A whole command, for a process of its own; what it says goes to the file ``said``."""
    os.environ.update(environment)
    out = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(out, 1)
    os.dup2(out, 2)
    sys.addaudithook(_watch)
    sys.exit(main(arguments))
