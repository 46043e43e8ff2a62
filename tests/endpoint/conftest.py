"""A scripted server and an endpoint that asks it, quick to try again."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from openai_server import Answer, Reply, Server, in_turn

from pvchat.endpoint import Endpoint

Serve = Callable[..., Server]
Connect = Callable[..., Endpoint]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """``serve("a", Reply(status=500))``: replies in turn; or a function from request to reply."""
    with ExitStack() as running:

        def start(*replies: Reply | str | Answer) -> Server:
            first = replies[0]
            answer = first if callable(first) else in_turn(*replies)  # type: ignore[arg-type]
            return running.enter_context(Server(answer).running())

        yield start


@pytest.fixture
def connect(tmp_path: Path) -> Connect:
    """An endpoint at a server, with a cache of the test's own."""

    def endpoint(server: Server | str, **options: Any) -> Endpoint:
        url = server if isinstance(server, str) else server.url
        own = {"model": "m", "api_key": "sesame", "cache_dir": tmp_path / "replies", "first_wait_s": 0.01}
        return Endpoint(base_url=url, **{**own, **options})

    return endpoint
