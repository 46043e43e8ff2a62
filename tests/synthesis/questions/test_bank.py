from collections import Counter

import pytest

from pvchat.metrics.functional.presence import parse_presence
from pvchat.synthesis.questions.bank import (
    ACTION,
    ANSWERS,
    APPEARANCE,
    EXISTENCE,
    FIRM,
    LOCATION,
    OPEN,
    OPENED,
    UNOPENED,
    VARIED,
    Bank,
)


def test_the_bank_is_as_large_as_the_papers() -> None:
    assert len(EXISTENCE) >= 25
    assert min(map(len, (APPEARANCE, ACTION, LOCATION))) >= 5
    for side in (0, 1):
        assert len({pair[side] for pair in VARIED.present_absent}) >= 25
    assert len({refusal for several in VARIED.refusals.values() for refusal in several}) >= 45


def test_everything_names_the_subject() -> None:
    questions = [*EXISTENCE, *APPEARANCE, *ACTION, *LOCATION]
    assert len(set(questions)) == len(questions)
    assert all(q.count("{s}") == 1 and q.endswith("?") for q in questions)
    answers = [a for pair in VARIED.present_absent for a in pair] + [a for k in ANSWERS.values() for a in k]
    assert all(a.count("{s}") == 1 and a.endswith(".") for a in answers)


def test_yes_and_no_answers_differ_in_nothing_but_the_truth() -> None:
    for yes, no in OPENED:
        assert yes.startswith("Yes, ")
        assert no.startswith("No, ")
    for yes, no in OPENED + UNOPENED:
        assert yes.split()[-1].strip(".") in no  # one is the negation of the other
    assert Counter(yes.split()[0] for yes, _ in UNOPENED) == Counter(no.split()[0] for _, no in UNOPENED)
    assert not any(answer.startswith(("Yes", "No")) for pair in UNOPENED for answer in pair)


@pytest.mark.parametrize("bank", [FIRM, VARIED])
def test_every_answer_is_read_as_it_is_meant(bank: Bank) -> None:
    for name in ("tom", "sks", "Aunt May"):
        for yes, no in bank.present_absent:
            assert parse_presence(yes.format(s=f"<{name}>"), [name]) == {name: True}, yes
            assert parse_presence(no.format(s=f"<{name}>"), [name]) == {name: False}, no
        for several in bank.refusals.values():
            for refusal in several:
                assert parse_presence(refusal.format(s=f"<{name}>"), [name]) == {name: False}, refusal


def test_refusals_speak_of_what_was_asked() -> None:
    words = {"appearance": "wear dress clothes", "action": "do move", "location": "where behind"}
    for kind in OPEN:
        for bank in (FIRM, VARIED):
            assert all(
                any(w in r.split("cannot say ")[1] for w in words[kind].split()) for r in bank.refusals[kind]
            )
