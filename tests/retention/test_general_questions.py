"""The committed questions can be marked by words that they do not give away."""

import re

from pvchat.retention.general_questions import ABOUT_CLIPS, GENERAL_KNOWLEDGE
from pvchat.subjects import mentions


def test_a_question_has_an_answer_that_it_does_not_give_away() -> None:
    assert len(GENERAL_KNOWLEDGE) >= 30
    for question, answers in GENERAL_KNOWLEDGE:
        assert question.endswith("?")
        assert answers
        assert all(answer.strip() == answer != "" for answer in answers)
        assert not any(re.search(rf"\b{re.escape(a)}\b", question, re.IGNORECASE) for a in answers)


def test_each_is_asked_once_and_names_nobody() -> None:
    questions = [*ABOUT_CLIPS, *(known.question for known in GENERAL_KNOWLEDGE)]
    assert len(set(questions)) == len(questions)
    assert not any(mentions(question) for question in questions)
