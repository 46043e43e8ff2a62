"""Ratings of the main answers: by judges on the loopback, by rule, and BERTScore under its encoder's name."""

import json
from pathlib import Path
from typing import Any

import pytest
from openai_server import Reply, Server

from pvchat.endpoint import Endpoint
from pvchat.evaluation import Prediction
from pvchat.judging import RUBRICS, Judge
from pvchat.metrics.bert_score import BERTScore
from pvchat.metrics.functional.bert_score import find_text_encoder
from pvchat.scoring.rating import rate


def answered(number: int, answer: str | None, control: str = "main") -> Prediction:
    fields: dict[str, Any] = {"type": "action", "origin": "real", "polarity": None, "score": 0.0}
    return Prediction(
        id=f"q{number}",
        clip_id=f"c{number}",
        control=control,  # type: ignore[arg-type]
        subjects=("tom",),
        presence={"tom": True},
        question="What is <tom> doing?",
        reference="<tom> is reading a red book.",
        answer=answer,
        **fields,
    )


ANSWERS = [answered(0, "<tom> is reading a red book."), answered(1, "<tom> sleeps."), answered(2, "")]


def test_two_judges_and_how_far_they_agree(tmp_path: Path) -> None:
    """The second judge gives one point less, in DC the same."""

    def reply(request: dict[str, Any]) -> Reply:
        said = json.loads(request["messages"][1]["content"].split("\n", 1)[0])["answer"]
        score = 5 if "book" in said else 2
        is_es = RUBRICS["es_1to5"].instruction in request["messages"][0]["content"]
        return Reply(json.dumps({"reason": "so", "score": score - (request["model"] == "b" and is_es)}))

    with Server(reply).running() as server:
        judges = [
            Judge(rubric=RUBRICS[kind], endpoint=endpoint(server, model, tmp_path))
            for kind in ("es_1to5", "dc_1to5")
            for model in "ab"
        ]
        found = rate([*ANSWERS, answered(3, "hidden", "text_only")], judges=judges)
    assert found.ratings["es_1to5_a"] == {"q0": 5, "q1": 2, "q2": 1}  # an empty answer: the lowest
    assert found.ratings["es_1to5_b"] == {"q0": 4, "q1": 1, "q2": 1}
    assert found.ratings["dc_1to5_a"] == found.ratings["dc_1to5_b"]
    assert found.agreements["es_1to5_a and es_1to5_b"].exact == pytest.approx(1 / 3)
    assert found.agreements["dc_1to5_a and dc_1to5_b"].exact == 1
    assert len(found.agreements) == 2
    assert "equal 0.33, within one 1.00" in found.told["es_1to5_a and es_1to5_b"]


def endpoint(server: Server, model: str, folder: Path) -> Endpoint:
    return Endpoint(
        model=model, base_url=server.url, api_key="k", cache_dir=folder / model, first_wait_s=0.01
    )


def test_without_judges_there_are_proxies_and_no_es() -> None:
    found = rate(ANSWERS)
    assert set(found.ratings) == {"entity_proxy", "detail_proxy"}
    assert found.ratings["detail_proxy"]["q0"] == 1
    assert found.ratings["detail_proxy"]["q1"] == 0


def test_bertscore_carries_the_name_of_its_encoder() -> None:
    encoder = find_text_encoder()
    found = rate(ANSWERS[:2], encoder=encoder)
    ours = found.ratings[f"bertscore_{encoder.name}_f1"]
    metric = BERTScore(encoder=encoder)
    metric.update([p.answer or "" for p in ANSWERS[:2]], [p.reference for p in ANSWERS[:2]])
    mean = float(metric.compute()[f"bertscore_{encoder.name}_f1"])
    assert sum(v for v in ours.values() if v is not None) / 2 == pytest.approx(mean)
    assert ours["q0"] == pytest.approx(1)
    assert any(encoder.signature in signature for signature in found.signatures.values())
