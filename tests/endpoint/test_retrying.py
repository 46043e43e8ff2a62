"""What is tried again, and when."""

import time
from email.utils import formatdate

import pytest

from pvchat.endpoint.retrying import is_hopeless, passes, retry_after_s, wait_s


def test_waits_double_with_jitter_and_end() -> None:
    for attempt in range(12):
        full = min(2.0**attempt, 30.0)
        waits = [wait_s(attempt, first_s=1.0) for _ in range(200)]
        assert full / 2 <= min(waits) < 0.6 * full
        assert 0.9 * full < max(waits) <= full


def test_retry_after_is_seconds_or_a_date() -> None:
    assert retry_after_s({"retry-after": "1.5"}) == 1.5
    date = formatdate(time.time() + 60, usegmt=True)
    assert 58 <= retry_after_s({"retry-after": date}) <= 60
    past = formatdate(time.time() - 60, usegmt=True)
    assert [retry_after_s({"retry-after": v}) for v in (past, "-3", "soon", "")] == [0, 0, 0, 0]
    assert retry_after_s({}) == 0


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 529])
def test_passing(status: int) -> None:
    assert passes(status)
    assert not is_hopeless(status, None)


@pytest.mark.parametrize("status", [401, 402, 403, 404])
def test_hopeless(status: int) -> None:
    assert is_hopeless(status, None)
    assert not passes(status)


def test_neither() -> None:
    assert not passes(400)
    assert not is_hopeless(400, None)
    assert is_hopeless(429, "insufficient_quota")
