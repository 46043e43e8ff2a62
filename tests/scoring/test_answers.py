"""Answers of other systems: each thing that can be wrong with them is named, and none is scored."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from pvchat.batch import Example
from pvchat.datamodules.manifest import QA, Record
from pvchat.errors import UserError
from pvchat.scoring.answers import Answers, questions, read_answers, read_predictions, to_answer


def clip(name: str, there: bool, **more: Any) -> Record:
    answer = "Yes, <tom> is here." if there else "No, <tom> is not here."
    qa = [QA("Is <tom> here?", answer, "existence", "yes" if there else "no", ("tom",))]
    if there:
        qa.append(QA("Where is <tom>?", "<tom> is outside.", "location", None, ("tom",)))
    defaults: dict[str, Any] = {"split": "test", "origin": "real", "path": Path(f"/clips/{name}.mp4")}
    rest = {"source_id": name, "licence": "CC0", "consent": "given", "presence": {"tom": there}}
    return Record(id=name, qa=tuple(qa), **{**defaults, **rest, **more})


RECORDS = [clip("a", True), clip("b", False), clip("seen", True, split="train")]


@pytest.fixture
def read(tmp_path: Path) -> Any:
    def given(*rows: Any) -> Answers:
        lines = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
        (tmp_path / "answers.jsonl").write_bytes(b"\n".join(lines))
        return read_answers(tmp_path / "answers.jsonl", questions(RECORDS))

    return given


def row(name: str, answer: Any = "Yes, <tom> is here.", **more: Any) -> dict[str, Any]:
    return {"id": name, "answer": answer, **more}


def faults(answers: Answers) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for fault in answers.faults:
        found.setdefault(fault.kind, []).append(fault.where)
    return found


def test_questions_come_without_the_truth() -> None:
    asked = list(to_answer([clip("a", True, start_s=1.0), *RECORDS[1:]]))
    assert [q["id"] for q in asked] == ["a#0", "a#1", "b#0"]
    assert asked[0] == {
        "id": "a#0", "clip": "/clips/a.mp4", "start_s": 1.0, "question": "Is <tom> here?",
        "subjects": ["tom"],
    }  # fmt: skip


def test_complete_answers_have_no_fault(read: Any) -> None:
    answers = read(*(row(name, score=n) for n, name in enumerate(("b#0", "a#1", "a#0"))))
    assert answers.faults == []
    assert answers.scored == {"main"}
    assert [(p.id, p.score) for p in answers.predictions] == [("a#0", 2), ("a#1", 1), ("b#0", 0)]


@pytest.mark.parametrize(
    "line",
    [
        b'{"id": "a#0"',
        b"\xff\xfe",
        b"[1]",
        b"[" * 9000,
        b'{"id": "a#0"}',
        b'{"id": "a#0", "answer": 3}',
        b'{"id": 7, "answer": "Yes."}',
        b'{"id": "a#0", "answer": "Yes.", "score": NaN}',
        b'{"id": "a#0", "answer": "Yes.", "score": true}',
        b'{"id": "a#0", "answer": "Yes.", "score": "high"}',
        b'{"id": "a#0", "answer": "\\ud800"}',
        b'{"id": "a#0", "answer": "Yes.", "control": "blind"}',
        b'{"id": "a#0", "answer": "Yes.", "answer": "No."}',
        b'{"id": "b#9", "answer": "Yes.", "id": "a#0"}',
    ],
)
def test_malformed_lines_are_named_by_number_and_count_for_nothing(read: Any, line: bytes) -> None:
    answers = read(row("a#1"), b"", line, row("b#0"))
    assert faults(answers) == {"malformed": ["answers.jsonl line 3"], "missing": ["a#0"]}
    assert [p.answer for p in answers.predictions if p.id == "a#0"] == [""]


def test_unknown_repeated_missing_and_empty_answers_are_named(read: Any) -> None:
    answers = read(row("a#0"), row("a#0"), row("nobody#0"), row("a#1", " \n"))
    assert faults(answers) == {
        "unknown": ["answers.jsonl line 3"], "repeated": ["a#0"], "empty": ["a#1"], "missing": ["b#0"],
    }  # fmt: skip
    assert [p.answer for p in answers.predictions] == ["", " \n", ""]  # no answer given twice is chosen from


@pytest.mark.parametrize("answer", ["\u200b\ufeff", "...", "?!", "\x00"])
def test_what_has_no_word_is_empty(read: Any, answer: str) -> None:
    assert faults(read(row("a#0"), row("a#1", answer), row("b#0"))) == {"empty": ["a#1"]}


def test_long_answers_are_scored_whole_and_named(read: Any) -> None:
    answers = read(row("a#0", "Yes. " * 2000), row("a#1"), row("b#0"))
    assert [(f.kind, f.what) for f in answers.faults] == [("long", "10,000 characters")]
    assert len(answers.predictions[0].answer or "") == 10_000


def test_scores_count_where_all_existence_questions_have_one(read: Any) -> None:
    answers = read(row("a#0", score=5.0), row("a#1"), row("b#0"))
    assert faults(answers) == {"unscored": ["main"]}
    assert answers.scored == frozenset()
    assert answers.predictions[0].score == 0


def test_controls_may_be_given_and_must_be_whole(read: Any) -> None:
    main = [row(name) for name in ("a#0", "a#1", "b#0")]
    blind = [{"id": name, "score": 1.0, "control": "text_only"} for name in ("a#0", "b#0")]
    answers = read(*main, *blind)
    assert (answers.faults, answers.scored) == ([], {"text_only"})
    assert [(p.id, p.answer) for p in answers.predictions[3:]] == [("a#0", None), ("b#0", None)]
    short = read(*main, blind[0])
    assert faults(short) == {"incomplete": ["text_only"]}
    assert len(short.predictions) == 3


def test_nothing_that_fits_is_refused(read: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"got none in .*answers.jsonl \(1 malformed, 1 unknown\). See what"):
        read(b"{", row("nobody#0"))
    with pytest.raises(UserError, match=r"nowhere.jsonl does not exist"):
        read_answers(tmp_path / "nowhere.jsonl", questions(RECORDS))
    with pytest.raises(UserError, match=r"must be a file: .* is a folder"):
        read_answers(tmp_path, questions(RECORDS))
    with pytest.raises(UserError, match="must ask about test clips: got none"):
        questions(RECORDS[2:])


def test_predictions_of_a_run_are_read_back_or_the_line_is_named(read: Any, tmp_path: Path) -> None:
    predictions = read(row("a#0", score=1.5), row("a#1"), row("b#0", score=-1.0)).predictions
    path = tmp_path / "predictions.jsonl"
    path.write_text("".join(json.dumps(p.as_json()) + "\n" for p in predictions))
    assert read_predictions(path) == predictions
    path.write_text(path.read_text() + '{"id": "x"}\n')
    with pytest.raises(
        UserError, match=r"predictions.jsonl line 4 is no prediction: clip_id: Field required"
    ):
        read_predictions(path)
    path.write_text("\n")
    with pytest.raises(UserError, match="must hold answers"):
        read_predictions(path)


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("score", float("nan"), "score: it must be finite, not nan"),
        ("polarity", "maybe", "polarity: it must be yes, no or null, not 'maybe'"),
        ("subjects", [], "subjects: a question of existence needs them"),
        ("presence", {}, "presence: it must say whether 'tom' is there"),
        ("id", "a#1", "id: 'a#1' is there before, under main"),
    ],
)
def test_predictions_that_no_test_writes(read: Any, tmp_path: Path, field: str, value: Any, why: str) -> None:
    rows = [p.as_json() for p in read(row("a#0"), row("a#1"), row("b#0")).predictions]
    path = tmp_path / "predictions.jsonl"
    path.write_text(
        "".join(json.dumps(r | ({field: value} if r["id"] == "b#0" else {})) + "\n" for r in rows)
    )
    with pytest.raises(UserError, match=re.escape(f"{path} line 3 is no prediction: {why}. Test the run")):
        read_predictions(path)


def test_who_looks_alike_is_known_of_any_system(tmp_path: Path) -> None:
    """Or its false alarms against look-alikes would not be counted."""
    question = Example(
        "c#0", "c", "Is <tom> here?", "No.", "existence", "no", ("tom",), {"tom": False}, "negative", True
    )
    file = tmp_path / "answers.jsonl"
    file.write_text('{"id": "c#0", "answer": "No."}')
    assert [p.look_alike for p in read_answers(file, [question]).predictions] == [True]
