"""The strict presence parser reads the paper's answers and the released ones right."""

import itertools
import json
from collections import Counter
from pathlib import Path

import pytest

from pvchat.metrics.functional.presence import parse_presence

# Tables 2 and 3 of the paper; {} is the subject.
PAPER_YES = """\
Yes, {} is in this video.
I can confirm that {} appears.
{} is present in this recording.
The video contains {}.
I've identified {}.
{} is shown in this video.
Yes, {} appears here.
I can verify that {} is present.
The footage shows {}.
{} is in this video clip.
I've detected {}.
Yes, {} is featured.
The video includes {}.
I can see {}.
{} is definitely here.
Yes, I've found {}.
This video shows {}.
{} is visible.
Yes, {} has been captured.
The video clearly shows {}.
I've spotted {}.
{} appears in this video.
Yes, this footage contains {}.
I can recognize {}.
{} is clearly visible."""
PAPER_NO = """\
No, {} is not in this video.
I cannot detect {}.
This video does not contain {}.
{} is not shown.
There is no sign of {}.
{} does not appear.
I can confirm {} is not here.
The footage does not include {}.
There's no evidence of {}.
{} is not in this video.
I've checked, {} is not present.
This video does not show {}.
I see no sign of {}.
{} is absent.
The video does not show {}.
I cannot find {}.
{} is not visible.
I can verify {} is not here.
The video has no {}.
{} does not exist in this video.
I find no trace of {}.
This clip does not contain {}.
{} is not present.
I cannot identify {}.
There is no {} here."""
# Tables 4 and 5; {0} and {1} are the subjects.
PAPER_BOTH = """\
Both {0} and {1} are present in this video.
I can detect both {0} and {1} in the footage.
The video shows both {0} and {1} clearly.
{0} and {1} are both visible in this recording.
I've identified both {0} and {1} in the clip.
Both {0} and {1} appear in this video.
The footage contains both {0} and {1}.
I can see both {0} and {1} in frame.
{0} and {1} are both featured in this video.
The recording shows both {0} and {1} present.
I've spotted both {0} and {1} in the footage.
Both {0} and {1} are captured in this clip.
The video includes both {0} and {1}.
I can confirm the presence of both {0} and {1}.
{0} and {1} are both shown in the recording.
Both figures, {0} and {1}, are visible.
I've found both {0} and {1} in the video.
The footage displays both {0} and {1}.
Both {0} and {1} are identifiable here.
I can recognize both {0} and {1}.
{0} and {1} both appear in this recording.
The video features both {0} and {1}.
Both {0} and {1} are clearly visible.
I've detected the presence of both {0} and {1}.
The clip shows both {0} and {1}."""
PAPER_FIRST_ONLY = """\
I can confirm that {0} appears, but {1} is not present.
The video shows {0}, though there's no sign of {1}.
{0} is visible, but {1} is absent.
I've detected {0}, while {1} does not appear.
The video contains {0}, but {1} is not shown.
{0} is present, however {1} is not in this clip.
I can see {0}, but there's no trace of {1}.
The footage includes {0}, though {1} is not visible.
{0} appears, but {1} is not featured.
I've spotted {0}, while {1} is nowhere to be seen.
{0} is clearly visible, but {1} is not.
The recording shows {0}, though {1} is absent.
I can identify {0}, but {1} doesn't appear.
{0} is present, while {1} is not.
The clip features {0}, but there's no sign of {1}."""
PAPER_NEITHER = """\
Neither {0} nor {1} appear in this video.
I cannot detect either {0} or {1}.
The video contains neither {0} nor {1}.
Both {0} and {1} are absent.
There is no sign of either {0} or {1}.
Neither {0} nor {1} are shown.
I confirm both {0} and {1} are not present.
The footage does not include {0} or {1}.
There's no evidence of either {0} or {1}.
Neither {0} nor {1} are visible.
I've checked, both {0} and {1} are absent.
This video shows neither {0} nor {1}.
I see no sign of {0} or {1}.
Both {0} and {1} are not in the recording.
The video does not contain {0} or {1}."""
# Three persons; with each order of the names all eight patterns of presence.
THREE = {
    (True, True, True): """\
{0}, {1}, and {2} are all here.
All three\u2014{0}, {1}, and {2}\u2014are present.
They are all here.""",
    (False, False, False): """\
None of {0}, {1}, or {2} appear.
Neither {0} nor {1} nor {2} can be seen.
{0}, {1}, {2}\u2014all absent.
None of them are here.""",
    (True, False, False): """\
I see only {0}\u2014{1} and {2} are not present.
{0} is here, but neither {1} nor {2} is.
No one but {0} is here.
Only {0} is here.""",
    (True, True, False): """\
{0} and {1} are here, but {2} is not.
{0} and {1} appear, while {2} does not.
No one but {0} and {1} is here.
{2} is missing, {0} and {1} are here.
Everyone but {2} is here.
I see {0} and {1}, but no {2}.""",
}
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
