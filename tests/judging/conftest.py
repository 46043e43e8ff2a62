"""Items to be rated, and endpoints at a server with a cache of the test's own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pvchat.endpoint import Endpoint
from pvchat.judging import Item


@pytest.fixture
def item() -> Callable[..., Item]:
    """``item("<tom> reads.", id="3")``: the answer, and what else differs."""

    def make(answer: str | None = "<tom> is reading a book.", **changes: Any) -> Item:
        fields = {
            "id": "1",
            "question": "What is <tom> doing?",
            "reference": "<tom> is reading a red book.",
            "subjects": ("tom",),
            "presence": {"tom": True},
        }
        return Item(answer=answer, **{**fields, **changes})

    return make


@pytest.fixture
def connect(tmp_path: Path) -> Callable[..., Endpoint]:
    def endpoint(url: str, **options: Any) -> Endpoint:
        own = {"model": "m", "api_key": "k", "cache_dir": tmp_path / "replies", "first_wait_s": 0.01}
        return Endpoint(base_url=url, **{**own, "at_once": 1, **options})

    return endpoint
