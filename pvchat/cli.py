"""The ``pvchat`` command. Light on purpose: torch is imported only by the command that needs it."""

import argparse
import importlib
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pvchat.commands import LIGHTNING, build_parser
from pvchat.errors import UserError
from pvchat.interruption import Interruption, interrupt
from pvchat.threads import share_cores


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 on success, 2 after a one-sentence error about bad input, 130 or 143 when Ctrl-C or
    SIGTERM ended it."""
    args = list(sys.argv[1:] if argv is None else argv)
    share_cores()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        with _ended_by_sigterm():
            _run(args)
    except UserError as error:
        return _say(f"error: {error}", 2)
    except OSError as error:
        return _say(f"error: {_disk(error)}", 2)
    except Interruption as end:
        return _say(str(end), end.status)
    except KeyboardInterrupt:
        return _say("interrupted.", 130)
    except SystemExit as end:
        if not isinstance(end.__context__, KeyboardInterrupt):
            raise
        return _say("interrupted.", 130)  # Lightning's way to pass it on
    return 0


def _run(args: list[str]) -> None:
    if args and args[0] in LIGHTNING:
        importlib.import_module("pvchat.lightning_cli").run(args)
    else:
        options = parse(args)
        importlib.import_module(options.module).main(options)


def _say(text: str, status: int) -> int:
    print(f"pvchat: {text}", file=sys.stderr)
    return status


def _disk(error: OSError) -> str:
    what = f"{error.filename} cannot be used" if error.filename else "a file cannot be used"
    return f"{what}: {error.strerror or error}. Check the path, its permissions and the room there."


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """SIGTERM is reported as Ctrl-C is; by default it ends Python without a word."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def parse(args: Sequence[str]) -> argparse.Namespace:
    """Options of everything but the Lightning commands; ``more`` are those of an experiment, where a command
    takes them as ``fit`` does."""
    options, more = build_parser().parse_known_args(args)
    if more and not getattr(options, "takes_more", False):
        build_parser().parse_args(args)  # says what is not known
    options.more = more
    return options


if __name__ == "__main__":
    sys.exit(main())
