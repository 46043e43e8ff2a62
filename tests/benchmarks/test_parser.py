"""The confusion table of the presence parser, over answers of every kind."""

from collections import Counter

from benchmarks.parser import report
from benchmarks.presence_answers import Case, cases
from pvchat.metrics.functional.presence import parse_presence


def test_at_least_200_different_answers_of_every_kind_are_read_right() -> None:
    known = list(cases())
    answers = [(case.answer, *case.truth) for case in known]
    assert len(set(answers)) == len(answers) >= 200
    truths = Counter(truth for case in known for truth in case.truth.values())
    assert min(truths[True], truths[False], truths[None]) >= 100
    wrong = [case for case in known if parse_presence(case.answer, list(case.truth)) != case.truth]
    assert wrong == []


def test_mistakes_are_off_the_diagonal() -> None:
    known = [
        Case("a", "Yes.", {"tom": True}),
        Case("a", "Yes.", {"tom": False}),
        Case("b", "<tom> is here, <ann> is not.", {"tom": None, "ann": False}),
    ]
    first, second = report(known).split("\n\n")
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in first.splitlines()]
    assert cells[0] == ["3 answers", "read as yes", "as no", "unparsed"]
    assert cells[2:] == [
        ["says yes", "1", "0", "0"],
        ["says no", "1", "1", "0"],
        ["says nothing plain", "1", "0", "0"],
    ]
    assert [row.split("|")[1:4] for row in second.replace(" ", "").splitlines()[2:]] == [
        ["a", "1", "2"],
        ["b", "1", "2"],
    ]
