"""A generator that needs its own environment: asked in a process that stays, started anew if it dies."""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from pvchat.errors import UserError
from pvchat.synthesis.generators import serve
from pvchat.synthesis.generators.child import Child, EndedError
from pvchat.synthesis.generators.serve import Array, GarbageError, Header, Specs, pack, unpack


class Worker:
    """Keeps ``command`` running, which speaks the protocol of ``serve.py``; it starts with the first
    question. One that crashes over a question is asked again up to ``max_restarts`` times, after
    ``backoff_s``, twice that, .. ; one that hangs or talks nonsense is stopped."""

    def __init__(
        self,
        *,
        name: str,
        command: Sequence[str],
        startup_timeout_s: float = 900.0,
        request_timeout_s: float = 900.0,
        max_restarts: int = 2,
        backoff_s: float = 1.0,
    ) -> None:
        if min(startup_timeout_s, request_timeout_s) <= 0 or min(max_restarts, backoff_s) < 0:
            raise UserError(
                f"time limits of {name} must be above 0 s, restarts and their delay at least 0: got "
                f"{startup_timeout_s}, {request_timeout_s}, {max_restarts} and {backoff_s}."
            )
        self.name, self.command = name, list(command)
        self.startup_timeout_s, self.request_timeout_s = startup_timeout_s, request_timeout_s
        self.max_restarts, self.backoff_s = max_restarts, backoff_s
        self._child: Child | None = None

    def ask(self, header: Header, arrays: Sequence[Array], expected: Specs) -> tuple[Header, list[Array]]:
        """What the process makes of ``arrays``: arrays of the ``expected`` shapes and dtypes. Raises
        UserError when it refuses the input, cannot start, crashes, hangs or answers something else."""
        for attempt in range(self.max_restarts + 1):
            if attempt:
                time.sleep(self.backoff_s * 2 ** (attempt - 1))
            child = self._running()
            child.send(pack(header, arrays))
            try:
                answer = self._receive(child, self.request_timeout_s, expected)
                break
            except EndedError as error:
                crash, words = error, child.last_words
                self.close()
        else:
            short = f", its answer ended after {crash.got} of {crash.wanted} bytes" if crash.got else ""
            self._fail(f"crashed {attempt + 1} times (exit code {crash.code}{short})", words)
        if "refused" in answer[0]:
            raise UserError(f"{self.name} refuses what it was given: {answer[0]['refused']}")
        return answer

    def close(self) -> None:
        """Stop the process and all it started; the next question starts it again."""
        if self._child is not None:
            self._child.close()
            self._child = None

    def _running(self) -> Child:
        if self._child is not None and self._child.is_running:
            return self._child
        self.close()
        try:
            child = self._child = Child(self.command)
        except OSError as error:
            raise UserError(
                f"{self.name} needs the Python of an environment of its own: {self.command[0]} cannot be "
                f"started ({error.strerror or error}). Give the path of that Python."
            ) from error
        try:
            header, _ = self._receive(child, self.startup_timeout_s, [])
        except EndedError as error:
            words = child.last_words
            self.close()
            raise UserError(
                f"{self.name} must start in its environment: it ended with exit code {error.code} ({words}). "
                "Mend that environment, then run again."
            ) from error
        if not header.get("ready"):
            self._fail("answered garbage instead of being ready", child.last_words)
        return child

    def _receive(self, child: Child, timeout_s: float, expected: Specs) -> tuple[Header, list[Array]]:
        deadline = time.monotonic() + timeout_s

        def accept(header: Header, specs: Specs) -> None:
            if "refused" not in header and specs != expected:
                raise GarbageError(f"arrays {specs} instead of {expected}")

        try:
            return unpack(lambda size: child.read(size, deadline), accept)
        except TimeoutError:
            self._fail(f"did not answer within {timeout_s:g} s", child.last_words)
        except GarbageError as error:
            self._fail(f"answered garbage: {error}", child.last_words)

    def _fail(self, what: str, words: str) -> NoReturn:
        self.close()
        raise UserError(
            f"{self.name} must answer in its own process: it {what}; its last line was: {words}. "
            "See that its environment fits its model and has memory for it."
        )


def script_command(python: str, script: str, settings: Mapping[str, Any]) -> list[str]:
    """Runs ``script`` of the folder ``children`` in the environment of ``python``."""
    path = Path(__file__).parent / "children" / script
    return [python, str(serve.__file__), str(path), json.dumps(dict(settings))]
