"""A lock that outlives whoever took it for as long as a child process works on."""

import os
import sys
from pathlib import Path


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


def is_held(path: Path) -> bool:
    """Does anybody hold the lock?"""
    if not path.exists():
        return False
    handle = hold(path)
    if handle is None:
        return True
    os.close(handle)
    return False
