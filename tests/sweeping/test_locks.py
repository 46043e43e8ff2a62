"""One holder at a time, and a look at a lock takes it from nobody."""

import os
import threading
import time
from pathlib import Path

from pvchat.sweeping.locks import hold, hold_soon, is_held


def test_one_holds_it_until_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    assert not is_held(path)
    assert not path.exists()
    handle = hold(path)
    assert handle is not None
    assert is_held(path)
    assert hold(path) is None
    os.close(handle)
    assert not is_held(path)


def test_who_only_looks_keeps_nobody_out(tmp_path: Path) -> None:
    """A runner asks twice a second whether a point is at work, just when its process begins."""
    path = tmp_path / ".lock"
    looking = hold(path)
    assert looking is not None
    threading.Thread(target=lambda: (time.sleep(0.1), os.close(looking))).start()
    handle = hold_soon(path)
    assert handle is not None
    assert hold_soon(path) is None  # somebody who stays does
    os.close(handle)
