"""A judge at servers that behave, misbehave and die: a score or a reason for each, and nothing paid twice."""

import json
import threading
from collections import Counter

import pytest
from openai_server import Reply, Server, in_turn, last_text

from pvchat.endpoint import Budget, together
from pvchat.errors import UserError
from pvchat.judging import RUBRICS, Judge, unscored

ES = RUBRICS["es_1to5"]


def verdict(score: object, reason: str = "so") -> str:
    return json.dumps({"reason": reason, "score": score})


def material(request: dict) -> dict:
    """The quotation of a request; a retry has it in its second message too."""
    return json.loads(request["messages"][1]["content"].split("\n", 1)[0])


def answers(server: Server) -> Counter[str]:
    return Counter(material(request)["answer"] for request in server.requests)


def test_ratings_come_in_order(item, connect) -> None:
    def answer(request):
        said = material(request)["answer"]
        return Reply(verdict(int(said[-1]), f"it says {said}"), after_s=0.05 if said == "no 1" else 0)

    items = [item(f"no {n}", id=f"i{n}") for n in (1, 5, 3)]
    with Server(answer).running() as server:
        ratings = Judge(rubric=ES, endpoint=connect(server.url, at_once=3)).rate(items)
    assert [(r.id, r.score, r.reason) for r in ratings] == [
        (f"i{n}", float(n), f"it says no {n}") for n in (1, 5, 3)
    ]
    assert unscored(ratings) == {}


def test_a_request_has_the_rubric_the_schema_and_temperature_0(item, connect) -> None:
    with Server(in_turn(verdict(0))).running() as server:
        [rating] = Judge(rubric=RUBRICS["dc_0to5"], endpoint=connect(server.url)).rate([item()])
    [request] = server.requests
    assert rating.score == 0
    assert request["temperature"] == 0
    assert RUBRICS["dc_0to5"].instruction in request["messages"][0]["content"]
    assert request["response_format"]["json_schema"]["schema"]["properties"]["score"]["minimum"] == 0
    assert [message["role"] for message in request["messages"]] == ["system", "user"]
    *_, last = last_text(request).split("\n\n")
    assert last.startswith("Answer with one JSON object")


@pytest.mark.parametrize(("rubric", "lowest"), [("es_1to5", 1), ("es_0to5", 0), ("dc_1to5", 1)])
@pytest.mark.parametrize("answer", ["", " \n\t"])
def test_an_empty_answer_is_the_lowest_by_rule(item, connect, rubric, lowest, answer) -> None:
    with Server(in_turn(verdict(5))).running() as server:
        [rating] = Judge(rubric=RUBRICS[rubric], endpoint=connect(server.url)).rate([item(answer)])
    assert (rating.score, rating.reason) == (lowest, "the answer is empty")
    assert server.requests == []


def test_what_cannot_be_judged_is_unscored_and_not_asked_about(item, connect) -> None:
    items = [item(None, id="a"), item(reference=" ", id="b"), item(id="c")]
    with Server(in_turn(verdict(4))).running() as server:
        ratings = Judge(rubric=ES, endpoint=connect(server.url)).rate(items)
    assert unscored(ratings) == {"no answer was written": ["a"], "there is no reference to judge by": ["b"]}
    assert (ratings[2].score, len(server.requests)) == (4, 1)


def test_a_cut_is_said_in_the_reason(item, connect) -> None:
    with Server(in_turn(verdict(2, "long-winded"))).running() as server:
        [rating] = Judge(rubric=ES, endpoint=connect(server.url)).rate([item("x" * 10_000)])
    assert rating.reason == "(answer cut to 2000 of 10000 characters) long-winded"
    assert material(server.requests[0])["answer"] == "x" * 2000


def test_settings_that_make_no_judge(connect) -> None:
    url = "http://127.0.0.1:1/v1"
    for options in ({"temperature": 0.7}, {"extra": {"temperature": 0.7}}):
        with pytest.raises(UserError, match=r"needs temperature 0.*got 0.7"):
            Judge(rubric=ES, endpoint=connect(url, **options))
    Judge(rubric=ES, endpoint=connect(url, extra={"temperature": None}))
    with pytest.raises(UserError, match="most_chars must be >= 1: got 0"):
        Judge(rubric=ES, endpoint=connect(url), most_chars=0)


class Misbehaving:
    """Replies by what the answer to be rated says; ``mended``, it behaves."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self.mended = False
        self._lock = threading.Lock()

    def __call__(self, request) -> Reply:
        said = material(request)["answer"]
        with self._lock:
            self.seen[said] += 1
            first = self.seen[said] == 1
        if not self.mended:
            if said in ("always 500", "once 500") and (first or said == "always 500"):
                return Reply("oops", status=500)
            if said == "once 429" and first:
                return Reply("slow down", status=429, headers={"retry-after": "0.05"})
            if said == "once stalls" and first:
                return Reply(verdict(3), after_s=8.0)
            if said == "cut off" and first:
                return Reply(verdict(3), cut=20)
            if said == "400":
                return Reply("too bad", status=400)
            if said in NONSENSE:
                return NONSENSE[said]
        return Reply(verdict(4))


NONSENSE = {
    "prose": Reply("I give it a 4."),
    "off the scale": Reply(verdict(11)),
    "true": Reply(verdict(True)),
    "empty": Reply(""),
    "no completion": Reply(body="<html>504</html>"),
    "null": Reply(body="null"),
    "half a character": Reply(body=r'{"choices": [{"message": {"content": "5 \ud83d"}}]}'),
    "refusal": Reply("", finish="content_filter"),
    "too long": Reply(verdict(4), finish="length"),
}
PASSING = ["fine", "once 500", "once 429", "once stalls", "cut off"]
LOST = ["always 500", "400", *NONSENSE]


def test_every_item_has_a_score_or_a_reason_and_nothing_is_paid_twice(item, connect) -> None:
    items = [item(said, id=said) for said in (*LOST, *PASSING)]
    replies = Misbehaving()
    options = {"timeout_s": 2.0, "max_tries": 2, "at_once": 4, "structured": False}
    with Server(replies).running() as server:
        first = Judge(rubric=ES, endpoint=connect(server.url, **options)).rate(items)
        assert [rating.id for rating in first] == [one.id for one in items]
        assert {r.id: r.score for r in first if r.score is not None} == dict.fromkeys(PASSING, 4.0)
        listed = {name: reason for reason, ids in unscored(first).items() for name in ids}
        assert listed.keys() == set(LOST)
        assert "answers 500" in listed["always 500"]
        assert "3 answers that cannot be used" in listed["off the scale"]

        replies.mended = True
        before = answers(server)
        again = Judge(rubric=ES, endpoint=connect(server.url, **options)).rate(items)
        assert unscored(again) == {}
        assert answers(server) - before == dict.fromkeys(LOST, 1)


def test_an_endpoint_that_dies_leaves_the_rest_to_a_later_call(item, connect) -> None:
    items = [item(f"no {n}", id=str(n)) for n in range(6)]
    alive = in_turn(verdict(3), verdict(3), Reply("no money", status=402))
    with Server(alive).running() as server:
        ratings = Judge(rubric=ES, endpoint=connect(server.url)).rate(items)
        assert len(server.requests) == 3
    assert [rating.score for rating in ratings] == [3, 3, None, None, None, None]
    [reason] = unscored(ratings)
    assert "answers 402 for m" in reason

    gone = Judge(rubric=ES, endpoint=connect(server.url, max_tries=2)).rate(items)
    assert [rating.score for rating in gone] == [3, 3, None, None, None, None]
    assert "does not answer" in next(iter(unscored(gone)))

    with Server(in_turn(verdict(5))).running() as new:
        later = Judge(rubric=ES, endpoint=connect(new.url)).rate(items)
    assert [rating.score for rating in later] == [3, 3, 5, 5, 5, 5]
    assert answers(new) == {f"no {n}": 1 for n in range(2, 6)}


def test_a_spent_budget_leaves_the_rest_to_a_later_call(item, connect) -> None:
    items = [item(f"no {n}", id=str(n)) for n in range(5)]
    with Server(in_turn(verdict(3))).running() as server:
        poor = connect(server.url, budget=Budget(max_requests=2))
        ratings = Judge(rubric=ES, endpoint=poor).rate(items)
        [reason] = unscored(ratings)
        assert unscored(ratings)[reason] == ["2", "3", "4"]
        assert "the budget max_requests=2 ends here" in reason
        assert Judge(rubric=ES, endpoint=poor).rate(items) == ratings
        assert len(server.requests) == 2
        later = Judge(rubric=ES, endpoint=connect(server.url, budget=Budget(max_requests=3))).rate(items)
    assert unscored(later) == {}
    assert set(answers(server).values()) == {1}


def test_the_same_answer_is_paid_once_but_each_rubric_and_model_apart(item, connect) -> None:
    twice = [item(id="a"), item(id="b")]
    with Server(in_turn(verdict(3))).running() as server:
        judges = [
            Judge(rubric=RUBRICS[rubric], endpoint=connect(server.url, model=model, at_once=2))
            for rubric in ("es_1to5", "dc_1to5")
            for model in ("m", "n")
        ]
        rated = together(lambda judge: judge.rate(twice), judges, at_once=2)
    assert [[r.id for r in ratings] for ratings in rated] == [["a", "b"]] * 4
    assert len(server.requests) == 4
