"""The wire, against a server that misbehaves: what is tried again, for how long, and what is given up."""

import time

import pytest
from openai_server import Reply

from pvchat.endpoint import Budget, Failure, user
from pvchat.errors import UserError

ASK = [user("Who?")]
BUSY = Reply("slow down", status=429)
BROKEN = Reply("oops", status=500)
HTML = Reply(body="<html>welcome</html>", content_type="text/html")


@pytest.mark.parametrize(
    "failing",
    [
        BROKEN,
        BUSY,
        Reply("overloaded", status=503),
        Reply("never arrives whole", cut=20),
        Reply(body='{"choices": ['),
        Reply(body='{"choices": []}'),
        Reply(body='{"choices": "none"}'),
        Reply(body="[]"),
        Reply(body="null"),
        Reply(body=""),
        pytest.param(Reply(body="[" * 10_000), id="deep"),
        HTML,
    ],
    ids=lambda reply: str(reply.status) if reply.status != 200 else repr(reply.body),
)
def test_what_passes_is_tried_again(serve, connect, failing: Reply) -> None:
    server = serve(failing, failing, "fine")
    assert connect(server).ask(ASK, version="1") == "fine"
    assert len(server.requests) == 3


def test_a_stall_is_tried_again_and_counts_as_spent(serve, connect) -> None:
    server = serve(Reply(after_s=2), "fine")
    budget = Budget()
    assert connect(server, timeout_s=0.2, budget=budget).ask(ASK, version="1") == "fine"
    assert len(server.requests) == 2
    assert budget.output_tokens == 512 + 5  # the stalled request may have cost all it was allowed


def test_a_reply_that_drips_ends(serve, connect, monkeypatch) -> None:
    """Blanks that keep a connection open are no silence."""
    monkeypatch.setattr("pvchat.endpoint.connection._PATIENCE", 1)
    server = serve(Reply(drip_s=0.02), "fine")
    assert connect(server, timeout_s=1.0).ask(ASK, version="1") == "fine"
    assert len(server.requests) == 2


def test_a_stall_within_a_reply_counts_as_spent(serve, connect) -> None:
    server = serve(Reply(drip_s=2.0), "fine")
    budget = Budget()
    assert connect(server, timeout_s=0.3, budget=budget).ask(ASK, version="1") == "fine"
    assert budget.output_tokens == 512 + 5


def test_blanks_before_a_reply_do_no_harm(serve, connect) -> None:
    body = "\n \n" + Reply("fine").payload().decode()
    assert connect(serve(Reply(body=body))).ask(ASK, version="1") == "fine"


def test_retry_after_is_honoured(serve, connect) -> None:
    server = serve(Reply("slow down", status=429, headers={"Retry-After": "1"}), "fine")
    begin = time.monotonic()
    assert connect(server).ask(ASK, version="1") == "fine"
    assert 1.0 <= time.monotonic() - begin < 5.0


def test_a_long_retry_after_ends_it(serve, connect) -> None:
    server = serve(Reply("tomorrow", status=429, headers={"Retry-After": "86400"}))
    with pytest.raises(UserError, match=r"429 for m: .*tomorrow.* It asks to wait 86400 s: start again then"):
        connect(server).ask(ASK, version="1")
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_nothing_is_sent_where_a_redirect_points(serve, connect, status: int) -> None:
    other = serve("stolen")
    server = serve(Reply("moved", status=status, headers={"Location": f"{other.url}/chat/completions"}))
    batch = [[user(str(n))] for n in range(5)]
    results = connect(server, at_once=1).ask_all(batch, version="1")
    assert other.requests == []
    assert len(server.requests) == 1  # the rest would fare no better
    assert {r.reason for r in results if isinstance(r, Failure)} == {
        f"the endpoint {server.url} answers {status} for m: Error code: {status} - moved. "
        f"It points to {other.url}/chat/completions, where nothing is sent. Name the right address."
    }


@pytest.mark.parametrize("usage", ["null", "[1]", '{"prompt_tokens": null}', '{"completion_tokens": "many"}'])
def test_a_reply_counts_whatever_it_says_of_its_cost(serve, connect, usage: str) -> None:
    """And is paid once; what is not told is taken to be the most it can be."""
    server = serve(Reply(body=f'{{"choices": [{{"message": {{"content": "4"}}}}], "usage": {usage}}}'))
    budget = Budget()
    assert connect(server, budget=budget, max_tokens=100).ask(ASK, version="1") == "4"
    assert len(server.requests) == 1
    assert budget.output_tokens == 100


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        ("<think>\nIs it 4? It is 5.\n</think>\n\n5", "5"),
        ("5 <think>or 4?</think>", "5 <think>or 4?</think>"),
        ("<think>It is", "<think>It is"),
    ],
)
def test_what_a_model_thinks_before_it_answers_is_no_answer(serve, connect, reply: str, answer: str) -> None:
    assert connect(serve(reply)).ask(ASK, version="1") == answer


def test_half_a_character_can_be_kept_and_sent_back(serve, connect) -> None:
    body = r'{"choices": [{"message": {"content": "5 \ud83d \ud83d\udc4d"}}]}'
    assert connect(serve(Reply(body=body))).ask(ASK, version="1") == "5 ? \U0001f44d"


def test_waits_grow(serve, connect) -> None:
    server = serve(BROKEN, BROKEN, BROKEN, "fine")
    begin = time.monotonic()
    connect(server, first_wait_s=0.1).ask(ASK, version="1")
    assert time.monotonic() - begin >= (0.1 + 0.2 + 0.4) / 2


def test_tries_end(serve, connect) -> None:
    server = serve(BROKEN)
    with pytest.raises(UserError, match=r"answers 500 for m: .*oops"):
        connect(server, max_tries=3).ask(ASK, version="1")
    assert len(server.requests) == 3


def test_a_wrong_address_is_shown_what_it_says(serve, connect) -> None:
    with pytest.raises(
        UserError, match=r"no chat completion: '<html>welcome</html>'. Check base_url; it oft"
    ):
        connect(serve(HTML), max_tries=2).ask(ASK, version="1")


def test_a_bad_request_is_not_tried_again_and_harms_no_other(serve, connect) -> None:
    server = serve(Reply("context too long", status=400), "fine")
    endpoint = connect(server)
    with pytest.raises(UserError, match=r"400 for m: .*context too long"):
        endpoint.ask(ASK, version="1")
    assert endpoint.ask(ASK, version="1") == "fine"


@pytest.mark.parametrize(
    "reply",
    [
        Reply("bad key sesame", status=401),
        Reply("no such model", status=404),
        Reply(status=429, body='{"error": {"message": "pay first", "code": "insufficient_quota"}}'),
    ],
    ids=["key", "model", "money"],
)
def test_what_no_request_survives_ends_them_all(serve, connect, reply: Reply) -> None:
    server = serve(reply)
    results = connect(server, at_once=1).ask_all([[user(str(n))] for n in range(5)], version="1")
    assert len(server.requests) == 1
    assert all(isinstance(r, Failure) and r == results[0] for r in results)
    assert "sesame" not in str(results[0])
    assert str(reply.status) in str(results[0])


def test_nobody_there_is_found_out_once(connect) -> None:
    endpoint = connect("http://127.0.0.1:9/v1", max_tries=3, first_wait_s=0.2, at_once=1)
    begin = time.monotonic()
    results = endpoint.ask_all([[user(str(n))] for n in range(20)], version="1")
    assert time.monotonic() - begin < 5  # of one question, not of twenty
    assert [type(r) for r in results] == [Failure] * 20
    assert "http://127.0.0.1:9/v1 does not answer" in str(results[0])
    assert "tried 3 times" in str(results[19])


def test_check_finds_out_before_long_work(serve, connect) -> None:
    connect(serve(Reply(body='{"object": "list", "data": []}'))).check()
    connect(serve(Reply("no list of models here", status=404))).check()
    with pytest.raises(UserError, match=r"answers 401 for m: .*wrong \*\*\*"):
        connect(serve(Reply("wrong sesame", status=401))).check()
    with pytest.raises(UserError, match=r"does not answer .* tried once"):
        connect("http://127.0.0.1:9/v1").check()


@pytest.mark.parametrize("usage", [(10, 5), None])
def test_use_is_counted_or_else_taken_for_the_most(serve, connect, usage) -> None:
    budget = Budget(input_price=1.0, output_price=2.0)
    endpoint = connect(serve(BROKEN, Reply("fine", usage=usage)), budget=budget, max_tokens=100)
    endpoint.ask(ASK, version="1")
    endpoint.ask(ASK, version="1")
    assert budget.requests == 2
    if usage:
        assert (budget.input_tokens, budget.output_tokens) == usage
        assert budget.cost == pytest.approx((10 + 2 * 5) / 1e6)
    else:
        assert budget.output_tokens == 100
        assert budget.input_tokens > 10


def test_a_budget_ends_the_work_with_a_sentence_and_keeps_what_is_paid(serve, connect) -> None:
    server = serve("fine")
    batch = [[user(str(n))] for n in range(5)]
    results = connect(server, budget=Budget(max_requests=3), at_once=2).ask_all(batch, version="1")
    assert len(server.requests) == 3
    assert results.count("fine") == 3
    refused = [r.reason for r in results if isinstance(r, Failure)]
    assert (
        refused
        == [
            "the budget max_requests=3 ends here: 3 requests were made. "
            "Raise max_requests to go on; answers so far are kept."
        ]
        * 2
    )
    again = connect(server, budget=Budget(max_requests=2)).ask_all(batch, version="1")
    assert again == ["fine"] * 5
    assert len(server.requests) == 5


def test_tokens_stay_below_the_budget(serve, connect) -> None:
    server = serve(Reply("fine", usage=(30, 100)))
    budget = Budget(max_tokens=1000)
    batch = [[user(str(n))] for n in range(50)]
    results = connect(server, budget=budget, at_once=4, max_tokens=100).ask_all(batch, version="1")
    assert budget.input_tokens + budget.output_tokens <= 1000
    assert len(server.requests) == budget.requests == results.count("fine") >= 6
    assert "max_tokens=1000 ends here" in str(results[-1])
