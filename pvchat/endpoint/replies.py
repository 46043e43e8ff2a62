"""Replies on disk by the hash of what was asked, so that nothing is paid twice."""

import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import TypeVar

from filelock import FileLock

from pvchat.errors import writing

T = TypeVar("T")
_log = logging.getLogger(__name__)
_noted: ContextVar[set[str] | None] = ContextVar("noted", default=None)


class Replies:
    """JSON files below ``root``, one a reply, whole or absent; ``hits`` and ``misses`` count questions."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.hits = self.misses = 0

    def get_or_ask(self, key: str, parse: Callable[[str], T], ask: Callable[[], str]) -> T:
        """What ``parse`` makes of the reply of ``key``; asked for where it is missing, damaged or refused by
        ``parse`` (ValueError), by one thread of one process only. A failing ``ask`` leaves nothing behind."""
        path = self.root / key[:2] / f"{key}.json"
        if (noted := _noted.get()) is not None:
            noted.add(key)
        found = self._read(path, key, parse)
        if found is None:
            with _alone(path):
                found = self._read(path, key, parse)  # another one may have been faster
                if found is None:
                    self.misses += 1
                    text = ask()
                    self._write(path, key, text)
                    return parse(text)
        self.hits += 1
        return found[0]

    def texts(self) -> Iterator[tuple[Path, str]]:
        """File and text of each entry, whatever state it is in."""
        for path in sorted(self.root.glob("*/*.json")):
            yield path, path.read_text(encoding="utf-8", errors="replace")

    def _read(self, path: Path, key: str, parse: Callable[[str], T]) -> tuple[T] | None:
        """A tuple, since None may be an answer."""
        try:
            entry = json.loads(path.read_text(encoding="utf-8"))
            if entry["check"] != _checksum(key, entry["reply"]):
                raise ValueError("checksum")
            return (parse(entry["reply"]),)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            _log.warning("cached reply %s cannot be used (%s): asked again.", path, error)
            return None

    def _write(self, path: Path, key: str, text: str) -> None:
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        with writing(path):
            try:
                entry = {"reply": text, "check": _checksum(key, text)}
                temporary.write_text(json.dumps(entry, ensure_ascii=False) + "\n", encoding="utf-8")
                os.replace(temporary, path)
            finally:
                temporary.unlink(missing_ok=True)


@contextmanager
def noting() -> Iterator[set[str]]:
    """Keys of the replies that this thread uses inside, whoever asks: what came of them can name them."""
    keys: set[str] = set()
    before = _noted.set(keys)
    try:
        yield keys
    finally:
        _noted.reset(before)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the lock of the entry ``path``; it is removed only once there is an entry, which those who
    waited for it find."""
    lock = FileLock(path.with_suffix(".lock"))
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
    with suppress(OSError):  # on Windows while another one holds it
        path.with_suffix(".lock").unlink()


def _checksum(key: str, text: str) -> str:
    return hashlib.sha256(f"{key}\n{text}".encode()).hexdigest()
