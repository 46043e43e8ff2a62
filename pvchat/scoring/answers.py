"""Answers of any system to the questions of a manifest. What is wrong with them is named, never skipped."""

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import FiniteFloat, TypeAdapter, ValidationError

from pvchat.batch import Example
from pvchat.datamodules.manifest import Record
from pvchat.datamodules.personalized import questions_of
from pvchat.errors import UserError
from pvchat.evaluation import ControlName, Prediction

FaultKind = Literal["malformed", "unknown", "repeated", "missing", "empty", "long", "unscored", "incomplete"]
FAULTS: Mapping[FaultKind, str] = {
    "malformed": "lines that cannot be read; they count for nothing",
    "unknown": "answers to questions that the manifest does not ask; they count for nothing",
    "repeated": "questions answered more than once; none of the answers counts, they are unanswered",
    "missing": "questions without an answer; they are unanswered",
    "empty": "answers without a word; they are unanswered",
    "long": "answers of more than 1,000 characters; they are scored whole and cut for the page",
    "unscored": "controls of which some existence questions have no score; all scores are left out",
    "incomplete": "controls that lack existence questions; they are left out",
}
LONG = 1_000  # characters


@dataclass(frozen=True)
class Fault:
    """Something wrong: ``where`` is a line of the file or the id of a question."""

    kind: FaultKind
    where: str
    what: str


@dataclass(frozen=True)
class Answers:
    """Every question of the manifest, with "" where it is unanswered; ``scored`` are the controls whose
    existence questions all have a score, in the others ``score`` is 0 and means nothing."""

    predictions: list[Prediction]
    faults: list[Fault]
    scored: frozenset[ControlName]


@dataclass(frozen=True)
class _Row:
    id: str
    answer: str | None = None
    score: FiniteFloat | None = None
    control: ControlName = "main"


_ROW, _PREDICTION = TypeAdapter(_Row), TypeAdapter(Prediction)


def questions(records: Sequence[Record]) -> list[Example]:
    """All questions about the test clips. Raises UserError if there are none."""
    found = [e for record in records if record.split == "test" for e in questions_of(record)]
    if not found:
        raise UserError(
            "the manifest must ask about test clips: got none with questions. Give another --data."
        )
    return found


def to_answer(records: Sequence[Record]) -> Iterator[dict[str, Any]]:
    """What a system is asked, without the truth: id, clip, its seconds if not all, question, persons."""
    for record in (r for r in records if r.split == "test"):
        seconds = {key: getattr(record, key) for key in ("start_s", "end_s")}
        for e in questions_of(record):
            yield {
                "id": e.id,
                "clip": str(record.path),
                **{key: value for key, value in seconds.items() if value is not None},
                "question": e.question,
                "subjects": list(e.subjects),
            }


def read_answers(path: Path, asked: Sequence[Example]) -> Answers:
    """The answers in ``path`` to the questions ``asked``. Raises UserError if none of them has one."""
    given, faults = _read(path, {e.id for e in asked})
    if not given:
        found = ", ".join(f"{n} {kind}" for kind, n in Counter(f.kind for f in faults).items()) or "empty"
        raise UserError(
            f"answers must be to questions of the manifest: got none in {path} ({found}). "
            "See what is asked with --print-questions."
        )
    existence = [e.id for e in asked if e.polarity is not None]
    predictions: list[Prediction] = []
    scored: set[ControlName] = set()
    for control in dict.fromkeys(("main", *(control for control, _ in given))):
        rows = {name: some[0] for (c, name), some in given.items() if c == control and len(some) == 1}
        if control == "main":
            faults += _unanswered(asked, rows, {name for c, name in given if c == "main"})
        elif lacking := [name for name in existence if name not in rows]:
            faults.append(Fault("incomplete", control, f"lacks {len(lacking)} of {len(existence)}"))
            continue
        scores = {name: rows[name].score for name in existence if name in rows}
        have = sum(score is not None for score in scores.values())
        if have == len(existence):
            scored.add(control)
        elif have:
            faults.append(Fault("unscored", control, f"{have} of {len(existence)} have a score"))
        for e in asked:
            if e.id in rows or control == "main":
                row = rows.get(e.id, _Row(e.id, ""))
                score = row.score if control in scored else None
                predictions.append(Prediction.of(e, control, row.answer, score or 0.0))
    return Answers(predictions, faults, frozenset(scored))


def read_predictions(path: Path) -> list[Prediction]:
    """The predictions of a run. Raises UserError naming the line."""
    found: list[Prediction] = []
    seen: set[tuple[str, str]] = set()
    for where, line in _lines(path):
        try:
            prediction = _PREDICTION.validate_json(line, strict=True)
            _check(prediction, seen)
        except ValueError as error:
            raise UserError(
                f"{path.parent / where} is no prediction: {reason(error)}. Test the run again."
            ) from error
        found.append(prediction)
    if not found:
        raise UserError(f"predictions must hold answers: {path} is empty. Test the run again.")
    return found


def _check(p: Prediction, seen: set[tuple[str, str]]) -> None:
    """What no test writes would be scored all the same. Raises ValueError."""
    if not math.isfinite(p.score):
        raise ValueError(f"score: it must be finite, not {p.score}")
    if p.polarity not in (None, "yes", "no"):
        raise ValueError(f"polarity: it must be yes, no or null, not {p.polarity!r}")
    if p.polarity and not p.subjects:
        raise ValueError("subjects: a question of existence needs them")
    if unknown := [name for name in p.subjects if name not in p.presence]:
        raise ValueError(f"presence: it must say whether {unknown[0]!r} is there")
    if (p.control, p.id) in seen:
        raise ValueError(f"id: {p.id!r} is there before, under {p.control}")
    seen.add((p.control, p.id))


def _read(
    path: Path, known: AbstractSet[str]
) -> tuple[dict[tuple[ControlName, str], list[_Row]], list[Fault]]:
    """What is given for each control and question, and what is wrong with single lines."""
    given: dict[tuple[ControlName, str], list[_Row]] = {}
    faults: list[Fault] = []
    for where, line in _lines(path):
        try:
            row = _ROW.validate_json(line, strict=True)
            json.loads(line, object_pairs_hook=_unique)
        except ValueError as error:
            faults.append(Fault("malformed", where, reason(error)))
            continue
        if row.answer is None and row.control == "main":
            faults.append(Fault("malformed", where, "answer: a string is needed"))
        elif row.id not in known:
            faults.append(Fault("unknown", where, row.id))
        else:
            given.setdefault((row.control, row.id), []).append(row)
    for (control, name), rows in given.items():
        longest = max(len(row.answer or "") for row in rows)
        if len(rows) > 1:
            faults.append(Fault("repeated", name, f"{len(rows)} times under {control}"))
        elif longest > LONG:
            faults.append(Fault("long", name, f"{longest:,} characters"))
    return given, faults


def _unanswered(
    asked: Sequence[Example], rows: Mapping[str, _Row], given: AbstractSet[str]
) -> Iterator[Fault]:
    for e in asked:
        if e.id not in given:
            yield Fault("missing", e.id, e.question)
        elif e.id in rows and not any(c.isalnum() for c in rows[e.id].answer or ""):
            yield Fault("empty", e.id, e.question)


def _lines(path: Path) -> Iterator[tuple[str, bytes]]:
    """Where each line is, and its bytes, blank ones left out."""
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise UserError(f"answers must be a file: {path} {what}. Give one JSON object a line.")
    for number, line in enumerate(path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if line.strip():
            yield f"{path.name} line {number}", line


def _unique(pairs: list[tuple[str, Any]]) -> None:
    """Of two answers under one key a parser keeps the last and says nothing. Raises ValueError."""
    keys = [key for key, _ in pairs]
    if twice := [key for key in keys if keys.count(key) > 1]:
        raise ValueError(f"{twice[0][:40]}: the key is given twice")


def reason(error: ValueError) -> str:
    """What is wrong, and where in a row, in a few words."""
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return " ".join(f"{place + ': ' if place else ''}{first['msg']}".split())
