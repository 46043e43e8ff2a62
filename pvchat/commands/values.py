"""Types of options."""

import argparse
from collections.abc import Callable


def whole(least: int, most: int | None = None) -> Callable[[str], int]:
    """The type of an option: a whole number from ``least`` to ``most``."""

    def read(text: str) -> int:
        value = int(text)
        if value < least or (most is not None and value > most):
            rule = f">= {least}" if most is None else f"in {least}..{most}"
            raise argparse.ArgumentTypeError(f"must be {rule}: got {value}")
        return value

    read.__name__ = "int"  # argparse names it where the text is no number
    return read


def positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be > 0: got {text}")
    return value


def question(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("must be a question: got nothing")
    return text
