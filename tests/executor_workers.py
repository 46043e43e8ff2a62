"""Workers for tests of executors: importable, as those that travel to other processes must be."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pvchat.errors import UserError


@dataclass(frozen=True)
class Squares:
    """Makes a worker that squares numbers and refuses ``bad``; of one of them, ``deadly``, it dies."""

    bad: int = -1
    deadly: int = -1

    def __call__(self) -> Callable[[int], tuple[int, int]]:
        def square(number: int) -> tuple[int, int]:
            if number == self.deadly:
                os._exit(3)
            if number == self.bad:
                raise UserError(f"numbers must be good: got {number}.")
            return number * number, os.getpid()

        return square


@dataclass(frozen=True)
class Unmakeable:
    """Makes no worker."""

    def __call__(self) -> Callable[[int], int]:
        raise UserError("weights must be there: got none.")


@dataclass(frozen=True)
class Environment:
    """Makes a worker that tells variables of its environment, and how many threads torch has."""

    def __call__(self) -> Callable[[str], str]:
        import torch

        return lambda name: str(torch.get_num_threads()) if name == "torch" else os.environ.get(name, "")


@dataclass(frozen=True)
class Files:
    """Makes a worker that writes a file for each item unless it is there, and logs each time it had to."""

    folder: Path
    seconds: float = 0.0

    def __call__(self) -> Callable[[int], str]:
        def write(item: int) -> str:
            path = self.folder / f"{item}.txt"
            if not path.exists():
                with open(self.folder / "calls.log", "a") as log:
                    log.write(f"{item} {os.getpid()}\n")
                time.sleep(self.seconds)
                partial = path.with_name(f".{item}.{os.getpid()}")
                partial.write_text(str(item * item))
                partial.replace(path)
            return path.read_text()

        return write
