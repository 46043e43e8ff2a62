"""Endpoint: settings, plain and structured answers, unusable ones, and that nothing is paid twice."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from openai_server import Reply, last_text

from pvchat.endpoint import Endpoint, Failure, Message, system, together, user
from pvchat.errors import UserError

ASK = [system("Be brief."), user("Who?")]


@dataclass(frozen=True)
class Verdict:
    score: int
    kind: Literal["right", "wrong"]


def test_what_is_missing_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UserError, match=r"needs an http\(s\) address: got ''. Set base_url or \$OPENAI_BASE"):
        Endpoint(model="m", api_key="k")
    with pytest.raises(UserError, match="needs an http"):
        Endpoint(model="m", api_key="k", base_url="localhost:8000")
    with pytest.raises(UserError, match=r"needs a key: got none. Set api_key or \$OPENAI_API_KEY"):
        Endpoint(model="m", base_url="http://127.0.0.1:1/v1")
    with pytest.raises(UserError, match="name of a model"):
        Endpoint(model="", base_url="http://127.0.0.1:1/v1", api_key="k")
    with pytest.raises(UserError, match="at_once must be >= 1: got 0"):
        Endpoint(model="m", base_url="http://127.0.0.1:1/v1", api_key="k", at_once=0)


def test_the_environment_names_address_and_key(serve, tmp_path: Path, monkeypatch) -> None:
    server = serve("it is Tom")
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    monkeypatch.setenv("OPENAI_API_KEY", "from-environment")
    assert Endpoint(model="m", cache_dir=tmp_path).ask(ASK, version="1") == "it is Tom"
    assert server.keys == ["Bearer from-environment"]
    [request] = server.requests
    assert request["model"] == "m"
    assert request["messages"] == ASK
    assert request["temperature"] == 0.0
    assert request["max_tokens"] == 512


def test_extra_beats_the_rest_and_none_removes(serve, connect) -> None:
    server = serve("fine")
    extra = {"temperature": None, "max_tokens": None, "max_completion_tokens": 7}
    connect(server, extra=extra).ask(ASK, version="1")
    assert set(server.requests[0]) == {"model", "messages", "max_completion_tokens"}


def test_openai_is_imported_late() -> None:
    code = (
        "import sys, pvchat.endpoint as e\n"
        "e.Endpoint(model='m', base_url='http://x/v1', api_key='k')\n"
        "assert not {'openai', 'pydantic'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_frames_travel_as_jpeg(serve, connect) -> None:
    server = serve("a red wall")
    frame = np.zeros((60, 100, 3), np.uint8)
    frame[..., 0] = 255
    connect(server).ask([user("What is this?", [frame, frame], max_px=50)], version="1")
    *images, text = server.requests[0]["messages"][0]["content"]
    assert len(images) == 2
    assert text == {"type": "text", "text": "What is this?"}


def test_unicode_survives_the_way_there_and_back(serve, connect) -> None:
    odd = "Zoë 🙂 „天“ \u2028 \x85 \ttab"
    server = serve(lambda request: Reply(last_text(request)))
    assert connect(server).ask([user(odd)], version="1") == odd
    assert connect(server).ask([user(odd)], version="1") == odd  # and through the cache
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"model": "other"},
        {"temperature": 0.5},
        {"extra": {"seed": 1}},
        {"version": "2"},
        {"form": Verdict},
        {"messages": [user("Who else?")]},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_same_question_is_paid_once_and_another_one_is_not_it(serve, connect, change) -> None:
    server = serve('{"score": 1, "kind": "right"}')

    def ask(
        *, messages: list[Message] = ASK, version: str = "1", form: type | None = None, **options
    ) -> None:
        connect(server, **options).ask(messages, version=version, **({"form": form} if form else {}))

    ask()
    ask()
    assert len(server.requests) == 1
    ask(**change)
    assert len(server.requests) == 2
    ask(**change)
    assert len(server.requests) == 2


def test_a_form_is_asked_for_as_a_closed_schema_and_in_words(serve, connect) -> None:
    server = serve('{"score": 4, "kind": "right"}')
    assert connect(server).ask(ASK, version="1", form=Verdict) == Verdict(4, "right")
    [request] = server.requests
    asked = request["response_format"]
    schema = asked["json_schema"]["schema"]
    assert asked["type"] == "json_schema"
    assert asked["json_schema"]["strict"] is True
    assert schema["additionalProperties"] is False
    assert schema["required"] == ["score", "kind"]
    assert request["messages"][0] == ASK[0]
    assert json.dumps(schema) in last_text(request)


def test_a_server_without_schemas_is_asked_in_words_alone(serve, connect, caplog) -> None:
    def answer(request):
        if "response_format" in request:
            return Reply("response_format is not supported", status=400)
        return Reply('{"score": 4, "kind": "right"}')

    server = serve(answer)
    endpoint = connect(server)
    assert endpoint.ask(ASK, version="1", form=Verdict) == Verdict(4, "right")
    assert "only in the prompt from now on" in caplog.text
    endpoint.ask(ASK, version="2", form=Verdict)
    assert ["response_format" in r for r in server.requests] == [True, False, False]


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ('{"score": 4, "kind": "ri', "Invalid JSON"),
        ("The score is 4.", "Invalid JSON"),
        ('{"score": 4}', "kind: Field required"),
        ('{"score": "4", "kind": "right"}', "score: Input should be a valid integer"),
        ('{"score": 4, "kind": "great"}', "kind: Input should be 'right' or 'wrong'"),
        ("", "Invalid JSON"),
    ],
)
def test_an_unusable_answer_is_asked_for_again_with_the_reason(serve, connect, bad, why) -> None:
    server = serve(bad, '{"score": 4, "kind": "right"}')
    assert connect(server).ask(ASK, version="1", form=Verdict) == Verdict(4, "right")
    *_, answered, told = server.requests[1]["messages"]
    assert answered == {"role": "assistant", "content": bad}
    assert why in told["content"]


def test_a_code_fence_is_forgiven(serve, connect) -> None:
    server = serve('```json\n{"score": 4, "kind": "right"}\n```')
    assert connect(server).ask(ASK, version="1", form=Verdict).score == 4


def test_unusable_answers_end_and_are_not_kept(serve, connect) -> None:
    server = serve("no", "no", "no", '{"score": 4, "kind": "right"}')
    endpoint = connect(server)
    with pytest.raises(UserError, match=r"m gave 3 answers that cannot be used, the last being 'no' \(Inval"):
        endpoint.ask(ASK, version="1", form=Verdict)
    assert len(server.requests) == 3
    assert endpoint.ask(ASK, version="1", form=Verdict).score == 4


def test_a_check_of_the_caller_counts_as_well(serve, connect) -> None:
    def is_short(text: str) -> None:
        if len(text) > 5:
            raise ValueError("longer than 5 letters")

    server = serve("much too long", "short")
    assert connect(server).ask(ASK, version="1", check=is_short) == "short"
    assert "longer than 5 letters" in last_text(server.requests[1])


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (Reply("half a sent", finish="length"), "longer than max_tokens=512. Raise it"),
        (Reply("", finish="content_filter"), "refuses to answer"),
        (Reply(body='{"choices": [{"message": {"content": null, "refusal": "I may not."}}]}'), "I may not."),
    ],
)
def test_answers_that_stay_as_they_are_are_not_asked_for_again(serve, connect, reply, why) -> None:
    server = serve(reply)
    with pytest.raises(UserError, match=why):
        connect(server).ask(ASK, version="1")
    assert len(server.requests) == 1


def test_many_questions_keep_their_order_and_their_number_at_once(serve, connect) -> None:
    def answer(request):
        number = int(last_text(request))
        return (
            Reply("broken", status=400) if number == 3 else Reply(f"<{number}>", after_s=0.1 - number / 100)
        )

    server = serve(answer)
    results = connect(server, at_once=3).ask_all([[user(str(n))] for n in range(9)], version="1")
    assert [r for r in results if isinstance(r, str)] == [f"<{n}>" for n in range(9) if n != 3]
    assert isinstance(results[3], Failure)
    assert "400" in results[3].reason
    assert "broken" in results[3].reason
    assert server.most_at_once == 3


def test_the_number_at_once_is_the_endpoints(serve, connect) -> None:
    server = serve(Reply("fine", after_s=0.05))
    endpoint = connect(server, at_once=2)
    together(lambda n: endpoint.ask([user(str(n))], version="1"), range(8), at_once=8)
    assert server.most_at_once == 2


WORKER = """
import sys
from pathlib import Path
from pvchat.endpoint import Endpoint, user
url, cache, *questions = sys.argv[1:]
endpoint = Endpoint(model="m", base_url=url, api_key="k", cache_dir=Path(cache), at_once=1, first_wait_s=0.01)
for answer in endpoint.ask_all([[user(q)] for q in questions], version="1"):
    print(answer)
"""


def worker(url: str, cache: Path, questions: list[str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WORKER, url, str(cache), *questions]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ.copy())


@pytest.mark.slow
def test_two_processes_pay_once(serve, tmp_path: Path) -> None:
    server = serve(lambda request: Reply(f"re: {last_text(request)}", after_s=0.3))
    questions = [f"q{n}" for n in range(4)]
    workers = [worker(server.url, tmp_path, questions) for _ in range(2)]
    outputs = [w.communicate(timeout=60)[0].split("\n") for w in workers]
    assert outputs == [[*(f"re: {q}" for q in questions), ""]] * 2
    assert set(server.prompts().values()) == {1}
    assert len(server.prompts()) == 4


@pytest.mark.slow
def test_kill_and_restart_pays_nothing_twice(serve, tmp_path: Path) -> None:
    stalls = [True]

    def answer(request):
        stuck = last_text(request) == "q3" and stalls
        return Reply(f"re: {last_text(request)}", after_s=30 if stuck else 0)

    server = serve(answer)
    questions = [f"q{n}" for n in range(6)]
    first = worker(server.url, tmp_path, questions)
    deadline = time.monotonic() + 60
    while len(server.requests) < 4 and time.monotonic() < deadline:
        time.sleep(0.02)
    first.send_signal(signal.SIGKILL)
    first.wait()
    stalls.clear()
    output, _ = worker(server.url, tmp_path, questions).communicate(timeout=60)
    assert output.split() == " ".join(f"re: {q}" for q in questions).split()
    # q3 was under way when the process died: no answer had been paid for yet
    assert server.prompts() == {"q0": 1, "q1": 1, "q2": 1, "q3": 2, "q4": 1, "q5": 1}
