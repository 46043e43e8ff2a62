"""together: order, the bound, reasons in place of results, and an end on bugs."""

import threading
import time

import pytest

from pvchat.endpoint import Failure, together
from pvchat.errors import UserError


def test_order_and_bound() -> None:
    now, most, lock = 0, 0, threading.Lock()

    def call(n: int) -> int:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.05 - n / 200)
        with lock:
            now -= 1
        return n * n

    assert together(call, range(8), at_once=3) == [n * n for n in range(8)]
    assert most == 3


def test_failures_stay_in_place() -> None:
    def call(n: int) -> int:
        if n == 1:
            raise UserError("no")
        return n

    assert together(call, range(3), at_once=2) == [0, Failure("no"), 2]


def test_a_bug_ends_it_all() -> None:
    begun: list[int] = []

    def call(n: int) -> int:
        begun.append(n)
        time.sleep(0.01)
        raise KeyError(n)

    with pytest.raises(KeyError):
        together(call, range(100), at_once=2)
    assert len(begun) < 20
