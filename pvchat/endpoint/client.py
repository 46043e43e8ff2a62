"""One client for any OpenAI-compatible endpoint: a hosted model, vLLM, SGLang, llama.cpp, Ollama."""

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, overload
from urllib.parse import urlsplit

from pvchat.assets import cache_dir as user_cache
from pvchat.endpoint.budget import Budget
from pvchat.endpoint.connection import Connection, short
from pvchat.endpoint.forms import instruction, json_schema, reader
from pvchat.endpoint.messages import Message, amended, assistant, user
from pvchat.endpoint.replies import Replies
from pvchat.endpoint.together import Failure, together
from pvchat.errors import UserError

T = TypeVar("T")
Check = Callable[[Any], None]
_MAX_ANSWERS = 3


class Endpoint:
    """Asks ``model`` at ``base_url`` ($OPENAI_BASE_URL) with ``api_key`` ($OPENAI_API_KEY).

    Nothing goes to an address that was not named. ``max_tokens`` bounds an answer, ``timeout_s`` the silence
    of the server, ten times as much a whole reply; ``max_tries`` with doubling waits from ``first_wait_s`` go
    to passing failures, and a server that asks for more than ``longest_wait_s`` is given up.
    ``structured=False`` leaves JSON schemas to the prompt, for servers that choke on ``response_format``; one
    that refuses it is noticed. ``extra`` goes into each request as it is and beats the rest; None
    removes, e.g. ``{"temperature": None}``.
    Replies are kept in ``cache_dir`` (default: the user cache) by model, messages, schema, temperature, extra
    and version, not by address: different models need different names.
    """

    def __init__(
        self,
        *,
        model: str,
        base_url: str | None = None,
        api_key: str | None = None,
        temperature: float = 0.0,
        max_tokens: int = 512,
        timeout_s: float = 60.0,
        max_tries: int = 5,
        first_wait_s: float = 1.0,
        longest_wait_s: float = 120.0,
        at_once: int = 4,
        structured: bool = True,
        budget: Budget | None = None,
        cache_dir: Path | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        for name, value in {"max_tokens": max_tokens, "max_tries": max_tries, "at_once": at_once}.items():
            if value < 1:
                raise UserError(f"{name} must be >= 1: got {value}.")
        if not model:
            raise UserError("an endpoint needs the name of a model: got none. Set model.")
        address = _address(base_url or os.environ.get("OPENAI_BASE_URL", ""))
        key = api_key or os.environ.get("OPENAI_API_KEY", "")
        if not key:
            raise UserError(
                f"the endpoint {address} needs a key: got none. Set api_key or $OPENAI_API_KEY, to any word "
                "where the server wants none."
            )
        self.model, self.temperature, self.at_once = model, temperature, at_once
        self.extra = dict(extra or {})
        self.budget = Budget() if budget is None else budget
        self.replies = Replies(cache_dir or user_cache() / "replies")
        settings = {"temperature": temperature, "max_tokens": max_tokens} | self.extra
        self._connection = Connection(
            model=model,
            base_url=address,
            api_key=key,
            settings={name: value for name, value in settings.items() if value is not None},
            timeout_s=timeout_s,
            max_tries=max_tries,
            first_wait_s=first_wait_s,
            longest_wait_s=longest_wait_s,
            at_once=at_once,
            structured=structured,
            budget=self.budget,
        )

    @overload
    def ask(self, messages: Sequence[Message], *, version: str, check: Check | None = None) -> str: ...
    @overload
    def ask(
        self, messages: Sequence[Message], *, version: str, form: type[T], check: Check | None = None
    ) -> T: ...
    def ask(
        self,
        messages: Sequence[Message],
        *,
        version: str,
        form: type[Any] | None = None,
        check: Check | None = None,
    ) -> Any:
        """The answer to ``messages``: its text, or the dataclass ``form`` filled in. ``version`` names the
        prompt, so that a better one is asked anew; ``check`` raises ValueError for an answer that will not
        do, which is then asked for again. Raises UserError when there is none; nothing is cached then."""
        schema = None if form is None else json_schema(form)
        read: Callable[[str], Any] = str.strip if form is None else reader(form)

        def parse(text: str) -> Any:
            answer = read(text)
            if answer == "":
                raise ValueError("it is empty")
            if check is not None:
                check(answer)
            return answer

        key = self._key(messages, version, schema)
        return self.replies.get_or_ask(key, parse, lambda: self._converse(messages, schema, parse))

    @overload
    def ask_all(
        self, batch: Sequence[Sequence[Message]], *, version: str, check: Check | None = None
    ) -> list[str | Failure]: ...
    @overload
    def ask_all(
        self,
        batch: Sequence[Sequence[Message]],
        *,
        version: str,
        form: type[T],
        check: Check | None = None,
    ) -> list[T | Failure]: ...
    def ask_all(self, batch: Sequence[Sequence[Message]], **options: Any) -> list[Any]:
        """``ask`` for each, ``at_once`` at a time, in order; where there is no answer the reason."""
        return together(lambda messages: self.ask(messages, **options), batch, at_once=self.at_once)

    def check(self) -> None:
        """Raise UserError when the server cannot be reached or refuses the key. Free: before long work."""
        self._connection.check()

    def _key(self, messages: Sequence[Message], version: str, schema: dict[str, Any] | None) -> str:
        asked = [self.model, list(messages), schema, self.temperature, version, self.extra]
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()

    def _converse(
        self, messages: Sequence[Message], schema: dict[str, Any] | None, parse: Callable[[str], Any]
    ) -> str:
        """An answer that ``parse`` takes; the model is told what was wrong with the one before."""
        told = amended(messages, instruction(schema)) if schema else list(messages)
        turns, why, text = told, "", ""
        for _ in range(_MAX_ANSWERS):
            text = self._connection.complete(turns, schema)
            try:
                parse(text)
                return text
            except ValueError as error:
                why = str(error).rstrip(".")
            again = user(f"This answer cannot be used: {why}. Answer again, as you were asked to.")
            turns = [*told, assistant(text), again]
        raise UserError(
            f"{self.model} gave {_MAX_ANSWERS} answers that cannot be used, the last being {short(text)!r} "
            f"({why}). Choose a more able model."
        )


def _address(base_url: str) -> str:
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UserError(
            f"an endpoint needs an http(s) address: got {base_url!r}. Set base_url or $OPENAI_BASE_URL, "
            "e.g. http://127.0.0.1:8000/v1."
        )
    return base_url.rstrip("/")
