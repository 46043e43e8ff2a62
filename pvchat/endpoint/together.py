"""A few calls at a time, results in order: a call that fails leaves its reason in its place."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from pvchat.errors import UserError

A = TypeVar("A")
R = TypeVar("R")


@dataclass(frozen=True)
class Failure:
    """Stands where a result would be and says why there is none."""

    reason: str


def together(call: Callable[[A], R], items: Iterable[A], *, at_once: int) -> list[R | Failure]:
    """``call`` of every item, at most ``at_once`` at a time. UserError becomes a ``Failure``; any other
    exception ends it all, and what has not begun never does."""

    def one(item: A) -> R | Failure:
        try:
            return call(item)
        except UserError as error:
            return Failure(str(error))

    with ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(one, items))
