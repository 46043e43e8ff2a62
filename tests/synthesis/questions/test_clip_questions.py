import hashlib
from collections import Counter

import numpy as np

from pvchat.subjects import mentions
from pvchat.synthesis.composer import Scene
from pvchat.synthesis.questions import Facts, QuestionCounts, clip_qa, existence_qa, general_qa, open_qa
from pvchat.synthesis.questions.bank import EXISTENCE
from pvchat.synthesis.wardrobe import Clothes

SCENE = Scene("beach", Clothes("orange", "t-shirt"), "nod", seed=0)
FACTS = Facts.of_scene(SCENE)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_existence() -> None:
    qa = existence_qa("tom", False, rng(), 30)
    assert len(qa) == 30
    assert {(q.type, q.polarity, q.subjects) for q in qa} == {("existence", "no", ("tom",))}
    assert Counter(q.question for q in qa[: len(EXISTENCE)]).most_common(1)[0][1] == 1
    assert all(mentions(q.question) == mentions(q.answer) == ("tom",) for q in qa)
    assert {q.polarity for q in existence_qa("tom", True, rng(), 3)} == {"yes"}


def test_who_is_present_is_described_as_the_scene_was_commanded() -> None:
    answers = {q.type: q.answer for q in open_qa("tom", FACTS, rng(), 1)}
    assert "an orange t-shirt" in answers["appearance"]
    assert "nodding" in answers["action"]
    assert "on a beach" in answers["location"]


def test_who_is_absent_is_not_described() -> None:
    for qa in open_qa("tom", None, rng(), 2):
        assert qa.answer.startswith("No, <tom> is not in this video, so I cannot say")
        assert not any(fact in qa.answer for fact in ("orange", "nodding", "beach"))
        assert qa.polarity is None


def test_nobody_named_is_answered_for_everybody() -> None:
    qa = general_qa(FACTS, rng(), 3)
    assert {q.type for q in qa} == {"general"}
    assert all(not q.subjects and not mentions(q.question + q.answer) for q in qa)
    assert all("not" not in q.answer for q in qa)
    assert any("an orange t-shirt" in q.answer for q in qa)


def test_a_clip_is_asked_about_each_subject() -> None:
    counts = QuestionCounts(existence=2, about=1, general=1)
    qa = clip_qa({"tom": True, "ann": False}, SCENE, rng(), counts)
    assert len(qa) == 2 * (2 + 3) + 1
    assert {(q.subjects, q.polarity) for q in qa if q.type == "existence"} == {
        (("tom",), "yes"),
        (("ann",), "no"),
    }
    assert qa == clip_qa({"tom": True, "ann": False}, SCENE, rng(), counts)


def test_of_raw_footage_only_existence_is_known() -> None:
    qa = clip_qa({"tom": True}, None, rng(), QuestionCounts(existence=3))
    assert {q.type for q in qa} == {"existence"}
    assert len(qa) == 3


def test_the_questions_of_the_quickstart_stay_what_they_were() -> None:
    """Corpora, and what was measured on them, rest on these bytes."""
    qa = clip_qa({"tom": True, "ann": False}, SCENE, rng(), QuestionCounts())
    assert hashlib.sha256(repr(qa).encode()).hexdigest()[:16] == "9e7697c5eeebabd6"
