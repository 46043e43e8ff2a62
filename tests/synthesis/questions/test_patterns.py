import re
from itertools import product

import numpy as np
import pytest

from pvchat.datamodules.manifest import QA
from pvchat.metrics.functional.presence import parse_presence
from pvchat.subjects import mentions
from pvchat.synthesis.questions.patterns import (
    GROUP_QUESTIONS,
    WORDINGS,
    Wording,
    group_answers,
    group_qa,
    group_question,
    listed,
)

NAMES = ("tom", "ann", "eva", "max", "bob")


@pytest.mark.parametrize("num_subjects", [2, 3, 5])
def test_every_answer_is_read_as_it_is_meant(num_subjects: int) -> None:
    for pattern in product((True, False), repeat=num_subjects):
        presence = dict(zip(NAMES, pattern, strict=False))
        for wording in WORDINGS:
            answers = group_answers(presence, wording)
            assert len(set(answers)) >= 25
            for answer in answers:
                assert parse_presence(answer, list(presence)) == presence, answer
                assert "{" not in answer
                assert re.match(r"[A-Z<]", answer)


@pytest.mark.parametrize(
    ("presence", "wording", "question", "answers"),
    [
        (
            {"tom": True, "ann": True}, "all", "Are both <tom> and <ann> in this video?",
            {"Both <tom> and <ann> are here.", "Yes, <tom> and <ann> are both present."},
        ),
        (
            {"tom": True, "ann": False}, "any", "Is <tom> or <ann> in this video?",
            {"<tom> is here, but <ann> is not.", "Yes, only <tom> is visible in this recording."},
        ),
        (
            {"tom": False, "ann": True}, "all", "Are both <tom> and <ann> in this video?",
            {"No, I can see <ann>, but there is no sign of <tom>."},
        ),
        (
            {"tom": False, "ann": False}, "any", "Is <tom> or <ann> in this video?",
            {"Neither <tom> nor <ann> is here.", "No, I cannot see <tom> or <ann>."},
        ),
        (
            {"tom": True, "ann": False, "eva": True}, "any", "Is <tom>, <ann> or <eva> in this video?",
            {"Yes, <tom> and <eva> appear in this clip, while <ann> does not."},
        ),
        (
            {"tom": False, "ann": False, "eva": True}, "all",
            "Are all of <tom>, <ann> and <eva> in this video?",
            {"No, <eva> is here, but <tom> and <ann> are not.", "Only <eva> is visible in this recording."},
        ),
    ],
)  # fmt: skip
def test_wordings(presence: dict[str, bool], wording: Wording, question: str, answers: set[str]) -> None:
    assert group_question(list(presence), wording, 0) == question
    assert answers <= set(group_answers(presence, wording))


@pytest.mark.parametrize("wording", WORDINGS)
def test_questions_name_everybody_once(wording: Wording) -> None:
    for number in range(len(GROUP_QUESTIONS)):
        question = group_question(NAMES[:3], wording, number)
        assert mentions(question) == NAMES[:3]
        assert question.count("<") == 3
        assert question.endswith("?")
        assert question[0].isupper()
        assert "{" not in question
    assert len(set(GROUP_QUESTIONS)) == len(GROUP_QUESTIONS) >= 25


def test_a_question_with_its_truth() -> None:
    qa = group_qa({"tom": True, "ann": False}, "all", 0, np.random.default_rng(0))
    assert (qa.type, qa.polarity, qa.subjects) == ("existence", "no", ("tom", "ann"))
    assert isinstance(qa, QA)
    assert group_qa({"tom": True, "ann": False}, "any", 0, np.random.default_rng(0)).polarity == "yes"
    drawn = {
        group_qa({"tom": True, "ann": False}, "any", 0, np.random.default_rng(seed)).answer
        for seed in range(60)
    }
    assert len(drawn) > 13


def test_lists() -> None:
    assert listed(["a"], "or") == "<a>"
    assert listed(["a", "b"], "or") == "<a> or <b>"
    assert listed(["a", "b", "c"], "and") == "<a>, <b> and <c>"
