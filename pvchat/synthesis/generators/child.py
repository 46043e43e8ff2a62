"""A process of another environment: its output within a time, its last words, an end that is certain."""

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Sequence
from typing import IO

_CHUNK = 1 << 20
_KEPT_LINES = 40
# A Python that is told where ours keeps its packages would load those.
_OURS = ("PYTHONPATH", "PYTHONHOME", "__PYVENV_LAUNCHER__")


class EndedError(Exception):
    """The process ended with ``code`` after ``got`` of ``wanted`` bytes of an answer."""

    def __init__(self, code: int, got: int, wanted: int) -> None:
        super().__init__(code, got, wanted)
        self.code, self.got, self.wanted = code, got, wanted


class Child:
    """Starts ``command`` in a group of its own, which ends with this object. Raises OSError."""

    def __init__(self, command: Sequence[str]) -> None:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            list(command),
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            bufsize=0,
            env={k: v for k, v in os.environ.items() if k not in _OURS},
            start_new_session=sys.platform != "win32",
        )
        self.close = weakref.finalize(self, _end, self._process)
        self._words: deque[str] = deque(maxlen=_KEPT_LINES)
        self._chunks: queue.Queue[bytes] = queue.Queue(maxsize=64)
        self._buffer = bytearray()
        stdout, stderr = self._process.stdout, self._process.stderr
        assert stdout is not None
        assert stderr is not None
        threading.Thread(target=_pump, args=(stdout, self._chunks), daemon=True).start()
        self._listener = threading.Thread(target=_listen, args=(stderr, self._words), daemon=True)
        self._listener.start()

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    @property
    def last_words(self) -> str:
        """The last line it wrote to stderr."""
        self._listener.join(0 if self.is_running else 1)
        return next((line for line in reversed(self._words) if line), "(nothing)")

    def send(self, parts: Sequence[bytes]) -> None:
        """Write on the side: a process that does not read must not stop us. What it misses, it cannot
        answer, which ``read`` notices."""
        stdin = self._process.stdin
        assert stdin is not None
        threading.Thread(target=_write, args=(stdin, list(parts)), daemon=True).start()

    def read(self, size: int, deadline: float) -> bytes:
        """The next ``size`` bytes of its output. Raises EndedError, and TimeoutError at ``deadline``
        (``time.monotonic``)."""
        while len(self._buffer) < size:
            try:
                chunk = self._chunks.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise TimeoutError from None
            if not chunk:
                self._chunks.put(b"")  # whoever asks next learns it, too
                raise EndedError(self._code(deadline), len(self._buffer), size)
            self._buffer += chunk
        data = bytes(memoryview(self._buffer)[:size])
        del self._buffer[:size]
        return data

    def _code(self, deadline: float) -> int:
        """A process may close its output and go on."""
        try:
            return self._process.wait(max(0.1, min(2.0, deadline - time.monotonic())))
        except subprocess.TimeoutExpired:
            self.close()
            return self._process.wait()


def _pump(stream: IO[bytes], chunks: "queue.Queue[bytes]") -> None:
    chunk = b"-"
    while chunk:
        chunk = stream.read(_CHUNK)
        chunks.put(chunk)


def _listen(stream: IO[bytes], words: "deque[str]") -> None:
    for line in stream:
        words.append(line.decode(errors="replace").strip())


def _write(stream: IO[bytes], parts: list[bytes]) -> None:
    with contextlib.suppress(OSError, ValueError):
        for part in parts:
            view = memoryview(part)
            while view:
                view = view[stream.write(view) :]


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Kill the whole group: a model may have started processes of its own, which outlive it."""
    with contextlib.suppress(OSError):
        if sys.platform != "win32":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
