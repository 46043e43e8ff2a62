"""Ctrl-C and SIGTERM: a command ends at once, a training when its step is done and saved."""

import signal
import threading
from typing import Any


class Interruption(BaseException):
    """A signal ended the command. No error, so that nothing which handles errors holds it up."""

    def __init__(self, number: int, message: str = "interrupted.") -> None:
        super().__init__(message)
        self.status = 128 + number


def interrupt(number: int, _: Any = None) -> None:
    """A signal handler that ends the command at once."""
    raise Interruption(number)


class SignalListener:
    """Between ``start`` and ``stop`` the first signal is only remembered, in ``received``; a second one ends
    the command at once."""

    def __init__(self) -> None:
        self.received: int | None = None
        self._before: dict[int, Any] = {}

    def start(self) -> None:
        self.received = None
        if threading.current_thread() is not threading.main_thread():
            return  # no other may
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as in jobs of a script
                self._before[number] = signal.signal(number, self._receive)

    def stop(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _receive(self, number: int, _: Any) -> None:
        if self.received is not None:
            interrupt(number)
        self.received = number
