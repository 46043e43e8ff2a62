"""The strict presence parser reads the paper's answers and the released ones right."""

import itertools
import json
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.presence_answers import (
    PAPER_BOTH,
    PAPER_FIRST_ONLY,
    PAPER_NEITHER,
    PAPER_NO,
    PAPER_YES,
    THREE,
)
from pvchat.metrics.functional.presence import parse_presence

NAMES = [
    ("tom", "ann"),
    ("Anna Maria", "Anna"),
    ("o'brien", "Mr. T"),
    ("sks1", "sks-2"),
    ("李雷", "José"),
    ("Don", "Ed"),
]


def spellings(name: str) -> tuple[str, ...]:
    return f"<{name}>", name


@pytest.mark.parametrize(
    "name", ["tom", "Tom", "Anna Maria", "o'brien", "Mr. T", "sks", "李雷", "José", "Don", "Ed"]
)
def test_every_answer_of_tables_2_and_3(name: str) -> None:
    for table, expected in ((PAPER_YES, True), (PAPER_NO, False)):
        for line, who in itertools.product(table.splitlines(), spellings(name)):
            plain = line.format(who)
            for answer in (plain, plain.rstrip("."), plain.upper(), plain.replace("'", "\u2019")):
                assert parse_presence(answer, [name]) == {name: expected}, answer
        assert len(table.splitlines()) == 25


@pytest.mark.parametrize("names", NAMES)
def test_every_answer_of_tables_4_and_5(names: tuple[str, str]) -> None:
    tables = ((PAPER_BOTH, (True, True)), (PAPER_FIRST_ONLY, (True, False)), (PAPER_NEITHER, (False, False)))
    for (table, expected), order, spell in itertools.product(tables, (1, -1), (0, 1)):
        first, second = names[::order]
        for line in table.splitlines():
            answer = line.format(spellings(first)[spell], spellings(second)[spell])
            assert parse_presence(answer, names) == dict(zip((first, second), expected, strict=True)), answer


def test_one_of_two_persons_may_be_asked_about() -> None:
    for table, expected in ((PAPER_BOTH, (1, 1)), (PAPER_FIRST_ONLY, (1, 0)), (PAPER_NEITHER, (0, 0))):
        for line, person in itertools.product(table.splitlines(), (0, 1)):
            answer, name = line.format("<tom>", "<ann>"), ("tom", "ann")[person]
            assert parse_presence(answer, [name]) == {name: bool(expected[person])}, answer


@pytest.mark.parametrize("pattern", THREE)
def test_three_persons(pattern: tuple[bool, bool, bool]) -> None:
    names = ("tom", "ann", "bo")
    for line, order, spell in itertools.product(
        THREE[pattern].splitlines(), itertools.permutations(names), (0, 1)
    ):
        answer = line.format(*(spellings(name)[spell] for name in order))
        assert parse_presence(answer, names) == dict(zip(order, pattern, strict=True)), answer


@pytest.mark.parametrize("joint", [" {0} {1}", "{0}, but {1}", "{0} and {1}", "{0}, while {1}", "{0}; {1}"])
def test_answers_about_two_persons_in_one(joint: str) -> None:
    """Any two answers put together say of each person what they said alone."""
    said = [(line.rstrip("."), True) for line in PAPER_YES.splitlines() if not line.startswith("Yes")]
    said += [(line.rstrip("."), False) for line in PAPER_NO.splitlines() if not line.startswith("No,")]
    for (one, first), (two, second) in itertools.product(said[::2], said[1::2]):
        two = two if "{0} {1}" in joint or two[:2] in ("I ", "I'", "{}") else two[0].lower() + two[1:]
        one = f"{one}." if "{0} {1}" in joint else one
        answer = joint.format(one.format("<tom>"), two.format("<ann>"))
        assert parse_presence(answer, ["tom", "ann"]) == {"tom": first, "ann": second}, answer


def test_the_released_answers(reference: Path) -> None:
    """110 + 90 phrasings for one person; two persons; three persons with the patterns that were released."""
    folder = reference / "pvchat-released"
    names = ("tom", "ann", "bo")
    seen = 0
    for file in ("famaliar_question", "confirm_question"):
        bank = json.loads((folder / f"{file}.json").read_text())
        for key, expected in (("yes_answers", True), ("no_answers", False)):
            for line in bank[key]:
                seen += 1
                assert parse_presence(line.replace("<sks>", "<tom>"), ["tom"]) == {"tom": expected}, line
    for file, count in (("famaliar_question_2people", 2), ("famaliar_question_3people", 3)):
        bank = json.loads((folder / f"{file}.json").read_text())
        bank.pop("questions")
        for key, lines in bank.items():
            everybody = {"all_yes": True, "both_yes": True, "all_no": False, "both_no": False}
            alike = everybody.get(key.removeprefix("answers_"))
            truth = {
                n: f"sks{i}_yes" in key if alike is None else alike for i, n in enumerate(names[:count], 1)
            }
            for line in lines:
                seen += 1
                for i, name in enumerate(names, 1):
                    line = line.replace(f"<sks{i}>", f"<{name}>")
                assert parse_presence(line, names[:count]) == truth, line
    assert seen > 450


def test_the_released_corpus(reference: Path) -> None:
    """All existence answers of both files agree with what their clips are said to show."""
    pairs: Counter[tuple[str, bool]] = Counter()
    for file in ("train_all_video", "test_all_video"):
        clips = json.loads((reference / "pvchat-released" / f"{file}.json").read_text())["data"]
        pairs.update((q["answer"], c["is_positive"]) for c in clips for q in c["qa_pairs"] if q["is_special"])
    assert pairs.total() == 15_195
    wrong = [a for a, there in pairs if parse_presence(a, ["sks"]) != {"sks": there}]
    assert wrong == []
