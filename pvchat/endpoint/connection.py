"""The wire: one chat completion from an OpenAI-compatible server, with retries and inside a budget."""

import json
import logging
import re
import threading
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from pvchat.endpoint.budget import Booking, Budget
from pvchat.endpoint.messages import Message, most_tokens
from pvchat.endpoint.retrying import is_hopeless, passes, retry_after_s, wait_s
from pvchat.errors import UserError

_log = logging.getLogger(__name__)
_PATIENCE = 10


class Connection:
    """``settings`` go into the body of each request. Once the server is given up - it refuses the key, or
    all tries of a request met no answer - later requests fail at once."""

    def __init__(
        self,
        *,
        model: str,
        base_url: str,
        api_key: str,
        settings: Mapping[str, Any],
        timeout_s: float,
        max_tries: int,
        first_wait_s: float,
        longest_wait_s: float,
        at_once: int,
        structured: bool,
        budget: Budget,
    ) -> None:
        self.model, self.base_url, self.structured = model, base_url, structured
        self.settings, self.budget = settings, budget
        self._api_key, self._timeout_s, self._max_tries = api_key, timeout_s, max_tries
        self._first_wait_s, self._longest_wait_s = first_wait_s, longest_wait_s
        self._slots = threading.BoundedSemaphore(at_once)
        self._given_up: str | None = None

    def complete(self, messages: Sequence[Message], schema: dict[str, Any] | None) -> str:
        """The text of one reply, after as many tries as it takes and is allowed. Raises UserError."""
        import openai

        for attempt in range(self._max_tries):
            if self._given_up:
                raise UserError(self._given_up)
            asked_s, is_general = 0.0, False
            structured = schema is not None and self.structured
            try:
                return self._send(messages, schema if structured else None)
            except openai.APIStatusError as error:
                why = self._refused(error)
                if is_hopeless(error.status_code, error.code):
                    self._given_up = why
                    raise UserError(why) from error
                if structured and error.status_code in (400, 422, 501):
                    _log.warning("%s The JSON schema is only in the prompt from now on.", why)
                    self.structured = False
                    return self.complete(messages, schema)
                if not passes(error.status_code):
                    raise UserError(why) from error
                is_general = error.status_code == 429
                asked_s = retry_after_s(error.response.headers)
            except openai.APIConnectionError as error:
                why, is_general = self._unreachable(error, tries=attempt + 1), True
            except _NoCompletionError as error:
                why = str(error)
            if asked_s > self._longest_wait_s:
                self._given_up = f"{why} It asks to wait {asked_s:.0f} s: start again then."
                raise UserError(self._given_up)
            if attempt + 1 < self._max_tries:
                _log.info("%s Trying again.", why)
                time.sleep(max(asked_s, wait_s(attempt, first_s=self._first_wait_s)))
        if is_general:  # later requests need not find out for themselves
            self._given_up = why
        raise UserError(why)

    def check(self) -> None:
        """Ask for the list of models, which is free. Raises UserError when the server cannot be reached or
        refuses the key."""
        import openai

        try:
            self._client.with_options(timeout=min(10.0, self._timeout_s)).models.with_raw_response.list()
        except openai.APIStatusError as error:
            if error.status_code in (401, 402, 403):
                raise UserError(self._refused(error)) from error
        except openai.APIConnectionError as error:
            raise UserError(self._unreachable(error, tries=1)) from error

    @cached_property
    def _client(self) -> Any:
        import openai

        return openai.OpenAI(
            api_key=self._api_key,
            base_url=self.base_url,
            timeout=self._timeout_s,
            max_retries=0,
            # what is asked goes to the address that was named, and nowhere else
            http_client=openai.DefaultHttpxClient(follow_redirects=False),
        )

    def _send(self, messages: Sequence[Message], schema: dict[str, Any] | None) -> str:
        import openai

        body = dict(self.settings)
        if schema is not None:
            answer = {"name": "answer", "strict": True, "schema": schema}
            body["response_format"] = {"type": "json_schema", "json_schema": answer}
        most_in = most_tokens(messages, tokens_per_image=self.budget.tokens_per_image)
        most_in += len(json.dumps(schema)) if schema else 0
        with self._slots, self.budget.booked(most_in, self._longest_answer) as booking:
            try:
                reply = self._post(messages, body)
            except openai.APITimeoutError:
                raise  # it may have been worked on, and charged
            except (openai.APIStatusError, openai.APIConnectionError):
                booking.input_tokens = booking.output_tokens = 0
                raise
            return self._read(reply, booking)

    def _post(self, messages: Sequence[Message], body: dict[str, Any]) -> str:
        """What the server sends back. Some send blanks while they work, which ends no silence: the whole may
        take ``_PATIENCE`` times as long as one."""
        import openai

        until, parts = time.monotonic() + _PATIENCE * self._timeout_s, []
        with self._client.chat.completions.with_streaming_response.create(
            model=self.model, messages=list(messages), extra_body=body
        ) as reply:
            request = reply.http_request
            try:
                for part in reply.iter_bytes():
                    parts.append(part)
                    if time.monotonic() > until:
                        raise openai.APITimeoutError(request)
            except openai.OpenAIError:
                raise
            except Exception as error:  # by name: of httpx or of httpx2, as openai has it
                if "Timeout" in type(error).__name__:
                    raise openai.APITimeoutError(request) from error
                raise openai.APIConnectionError(request=request) from error
        return b"".join(parts).decode(errors="replace")

    @property
    def _longest_answer(self) -> int:
        return int(self.settings.get("max_completion_tokens") or self.settings.get("max_tokens") or 0)

    def _read(self, body: str, booking: Booking) -> str:
        """The text of a chat completion; what it cost goes to ``booking``."""
        try:
            reply = json.loads(body)
            usage = reply.get("usage")
            booking.input_tokens = _count(usage, "prompt_tokens", booking.input_tokens)
            booking.output_tokens = _count(usage, "completion_tokens", booking.output_tokens)
            choice = reply["choices"][0]
            message, reason = choice["message"], choice.get("finish_reason")
            text, refusal = message.get("content"), message.get("refusal")
        except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
            raise _NoCompletionError(
                f"the endpoint {self.base_url} answers with something that is no chat completion: "
                f"{short(body)!r}. Check base_url; it often ends with /v1."
            ) from error
        if refusal or reason == "content_filter":
            raise UserError(f"{self.model} refuses to answer: {short(refusal or 'content filter')!r}.")
        if reason == "length":
            raise UserError(
                f"an answer of {self.model} is longer than max_tokens={self._longest_answer}. Raise it."
            )
        if not isinstance(text, str):
            return ""
        # half of a surrogate pair can neither be stored nor sent back; a model that reasons may do so aloud
        return _THOUGHTS.sub("", text.encode(errors="replace").decode())

    def _refused(self, error: Any) -> str:
        said = short(str(error.message)).replace(self._api_key, "***").rstrip(".")
        said = f"the endpoint {self.base_url} answers {error.status_code} for {self.model}: {said}."
        if 300 <= error.status_code < 400:
            leads = short(error.response.headers.get("location", "an address it does not say"))
            said += f" It points to {leads}, where nothing is sent. Name the right address."
        return said

    def _unreachable(self, error: Exception, *, tries: int) -> str:
        why = short(str(error.__cause__ or error)).rstrip(".")
        times = "once" if tries == 1 else f"{tries} times"
        return f"the endpoint {self.base_url} does not answer ({why}; tried {times}). Is it running?"


def _count(usage: Any, key: str, otherwise: int) -> int:
    """Tokens by ``usage``, which servers fill in as they like: a reply is paid for whatever it says."""
    value = usage.get(key) if isinstance(usage, dict) else None
    return value if isinstance(value, int) and value >= 0 else otherwise


_THOUGHTS = re.compile(r"\A\s*<think>.*?</think>\s*", re.DOTALL)


class _NoCompletionError(Exception):
    """A reply that is no chat completion."""


def short(text: str, most: int = 200) -> str:
    """``text`` in one line that fits into a message."""
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[:most]}..."
