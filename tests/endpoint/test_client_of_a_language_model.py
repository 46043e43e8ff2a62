"""Endpoint with a real, if small, language model at the other end."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from openai_server import Server

from pvchat.endpoint import Budget, Endpoint, Failure, user
from pvchat.synthesis.rewriting import EndpointRewriter, rewrite_all

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Verdict:
    reason: str
    score: int
    match: Literal["yes", "no"]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    from language_server import LanguageServer

    with Server(LanguageServer()).running() as server:
        yield server


@pytest.fixture
def endpoint(server: Server, tmp_path: Path) -> Endpoint:
    return Endpoint(
        model="smollm2",
        base_url=server.url,
        api_key="none",
        cache_dir=tmp_path,
        budget=Budget(max_tokens=50_000),
        max_tokens=60,
        timeout_s=300,
    )


def test_it_answers_what_it_knows(endpoint: Endpoint) -> None:
    endpoint.check()
    answer = endpoint.ask([user("What is the capital of France? Answer in one word.")], version="1")
    assert "Paris" in answer
    assert 0 < endpoint.budget.output_tokens <= 60
    assert endpoint.budget.input_tokens > 10


def test_a_form_is_filled_in(endpoint: Endpoint, server: Server) -> None:
    prompt = (
        "Reference: she is in a park. Answer: she is in a park. Do they say the same? Score from 0 to 10."
    )
    before = len(server.requests)
    verdict = endpoint.ask([user(prompt)], version="1", form=Verdict)
    assert verdict.reason
    assert 0 <= verdict.score <= 10
    assert endpoint.ask([user(prompt)], version="1", form=Verdict) == verdict
    assert len(server.requests) == before + 1


def test_a_rewriting_that_changes_nothing_is_not_taken(endpoint: Endpoint) -> None:
    """The model gives the answer back as it was, which is not what was asked."""
    pairs = [("What is <tom> doing?", "The man is reading a book."), ("Where is <tom>?", "He is in a park.")]
    results = rewrite_all(EndpointRewriter(endpoint=endpoint), pairs, subject="tom", at_once=2)
    assert len(results) == 2
    for result in results:
        assert "cannot be used" in result.reason if isinstance(result, Failure) else "<tom>" in result
