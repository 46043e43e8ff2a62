"""What users are meant to see of a failure: a sentence with the rule, what we got and what to do."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class UserError(ValueError):
    """Bad input. The CLI prints its message as one line and exits with status 2."""


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Failures of the disk inside become a UserError that names ``path``; many of them name no file."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{path} cannot be written: {error.strerror or error}. Give a folder that is yours and has room."
        ) from error
