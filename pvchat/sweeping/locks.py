"""A lock that outlives whoever took it for as long as a child process works on."""

import os
import sys
import time
from pathlib import Path

TRIES, PAUSE_SECONDS = 10, 0.05


def hold(path: Path) -> int | None:
    """Lock the file ``path`` and return its descriptor, or None where another process holds it.

    A child that is given the descriptor (``pass_fds``) holds the lock too, so that a point whose sweep was
    killed stays taken while its training runs on. On Windows the lock ends with this process."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    return handle


def hold_soon(path: Path) -> int | None:
    """:func:`hold`, after a moment if need be: whoever asks :func:`is_held` has the lock for an instant."""
    for _ in range(TRIES):
        if (handle := hold(path)) is not None:
            return handle
        time.sleep(PAUSE_SECONDS)
    return hold(path)


def is_held(path: Path) -> bool:
    """Does anybody hold the lock?"""
    if not path.exists():
        return False
    handle = hold(path)
    if handle is None:
        return True
    os.close(handle)
    return False
