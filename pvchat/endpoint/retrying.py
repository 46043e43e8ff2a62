"""Which failures of an endpoint are worth another try, and how long to wait for it."""

import random
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

_JITTER = random.Random()  # of its own: what is seeded elsewhere stays as it is
_LONGEST_S = 30.0
_PASSING = frozenset({408, 409, 425, 429})
_HOPELESS = frozenset({401, 402, 403, 404})


def passes(status: int) -> bool:
    """The same request may work later."""
    return status in _PASSING or status >= 500


def is_hopeless(status: int, code: str | None) -> bool:
    """No request will work: wrong key, no money, no such model or address, or one that points elsewhere."""
    return status in _HOPELESS or 300 <= status < 400 or code == "insufficient_quota"


def wait_s(attempt: int, *, first_s: float) -> float:
    """Seconds before try ``attempt`` + 1: doubling from ``first_s``, the upper half of it random."""
    return min(first_s * 2.0**attempt, _LONGEST_S) * _JITTER.uniform(0.5, 1.0)


def retry_after_s(headers: Mapping[str, str]) -> float:
    """Seconds the server asks to wait, given as seconds or as a date; 0 where it does not say."""
    value = headers.get("retry-after", "").strip()
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return 0.0
