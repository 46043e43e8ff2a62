"""The manifest: one JSON object a line, one clip an object. Schema in docs/data.md.

Every fault is one sentence that names the line, so that a manifest can be written by hand."""

import errno
import json
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from pvchat.batch import Polarity, QuestionType
from pvchat.errors import UserError
from pvchat.subjects import check_name, mention, mentions

SCHEMA_VERSION = 1
Origin = Literal["real", "warp", "generated", "negative"]
Split = Literal["reference", "train", "validation", "test"]
TRAINED: tuple[Split, ...] = ("reference", "train")


@dataclass(frozen=True)
class QA:
    """A question and its answer; subjects are spelled ``<name>``. ``polarity`` is the truth of an existence
    question and None for every other type; ``subjects`` are those asked about."""

    question: str
    answer: str
    type: QuestionType
    polarity: Polarity | None = None
    subjects: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Record:
    """A clip: the file and time range (seconds), who is in it, where it comes from and what is asked.
    ``look_alike``: as of ``Example``.

    ``where`` (manifest and line) is for messages and not compared."""

    id: str
    path: Path
    start_s: float | None = None
    end_s: float | None = None
    presence: Mapping[str, bool]
    source_id: str
    background: str | None = None
    clothes: str | None = None
    motion: str | None = None
    look_alike: bool | None = None
    origin: Origin
    split: Split
    licence: str
    consent: str
    qa: tuple[QA, ...] = ()
    where: str = field(default="", compare=False, repr=False)

    @property
    def place(self) -> str | None:
        """What kind of place ``background`` is: the part before the slash, which tells pictures apart."""
        return self.background.partition("/")[0] if self.background else None

    @property
    def clip_seconds(self) -> float | None:
        """How long the clip is; None where no end is given."""
        return None if self.end_s is None else self.end_s - (self.start_s or 0.0)


def read_manifest(
    path: str | Path, *, subjects: Sequence[str] | None = None, check_files: bool = True
) -> list[Record]:
    """Read and check a manifest; paths become absolute. ``subjects``: who may be labelled (default: whoever
    the first line labels). Raises UserError naming file and line."""
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UserError(f"the manifest {path} cannot be read: {reason}.") from error
    records = [
        _parse(line, f"{path.name} line {number}", path.absolute().parent)
        for number, line in enumerate(lines, 1)
        if line.strip()
    ]
    if not records:
        raise UserError(f"the manifest {path} lists no clip.")
    check_records(records, subjects=subjects)
    for record in records if check_files else ():
        if not record.path.is_file():
            raise _fault(record.where, f"clip {record.id!r} does not exist: {record.path}.")
    return records


def write_manifest(path: str | Path, records: Sequence[Record]) -> None:
    """Check ``records`` and write them, paths relative to the manifest. The file is replaced at once or not
    at all. Raises UserError."""
    path = Path(path)
    check_records(records)
    folder = path.absolute().parent
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(to_line(r, folder), ensure_ascii=False) + "\n" for r in records)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def check_records(records: Sequence[Record], *, subjects: Sequence[str] | None = None) -> None:
    """Check each record and that they fit together: ids differ, all label the same subjects, and no test
    clip also trains or sets a threshold. Raises UserError."""
    labelled = tuple(subjects or (records[0].presence if records else ()))
    seen: dict[str, Record] = {}
    before: dict[Path, list[Record]] = {}
    for record in records:
        _check(record, labelled)
        if record.id in seen:
            first = seen[record.id].where
            raise _fault(_where(record), f"clip id {record.id!r} is used before{first and f', in {first}'}.")
        seen[record.id] = record
        if record.split != "test":
            before.setdefault(record.path, []).append(record)
    for record in records:
        for other in before.get(record.path, ()) if record.split == "test" else ():
            if overlaps(record, other):
                raise _fault(
                    _where(record),
                    f"test clip {record.id!r} shows the same seconds of {record.path.name} as {other.split} "
                    f"clip {other.id!r}. Give them time ranges that do not overlap.",
                )


def shared_sources(records: Iterable[Record]) -> set[str]:
    """Source ids (recordings, photos) of test clips that training or the threshold uses too."""
    splits: dict[str, set[str]] = {}
    for record in records:
        splits.setdefault(record.source_id, set()).add(record.split)
    return {source for source, s in splits.items() if "test" in s and len(s) > 1}


def overlaps(a: Record, b: Record) -> bool:
    """Whether the time ranges of two clips of one file have seconds in common."""

    def end(record: Record) -> float:
        return math.inf if record.end_s is None else record.end_s

    return (a.start_s or 0.0) < end(b) and (b.start_s or 0.0) < end(a)


def _fault(where: str, message: str) -> UserError:
    return UserError(f"{where}: {message}")


def _where(record: Record) -> str:
    return record.where or f"clip {record.id!r}"


def _check(record: Record, labelled: Sequence[str]) -> None:
    where = _where(record)
    if not record.presence:
        raise _fault(where, "presence must label at least one subject: got {}.")
    for name in record.presence:
        try:
            check_name(name)
        except UserError as error:
            raise _fault(where, str(error)) from error
        if name not in labelled:
            raise _fault(where, f"unknown subject {name!r} in presence; known: {list(labelled)}.")
    for name in labelled:
        if name not in record.presence:
            raise _fault(where, f"presence must label every subject: {name!r} is missing. Add true or false.")
    start, end = record.start_s, record.end_s
    if (start or 0.0) < 0 or (end is not None and end <= (start or 0.0)):
        raise _fault(where, f"time range must have 0 <= start_s < end_s: got start_s={start}, end_s={end}.")
    for number, qa in enumerate(record.qa, 1):
        _check_qa(qa, record.presence, f"{where}, question {number}")


def _check_qa(qa: QA, presence: Mapping[str, bool], where: str) -> None:
    for name in (*qa.subjects, *mentions(qa.question), *mentions(qa.answer)):
        if name not in presence:
            raise _fault(where, f"unknown subject {name!r}; presence labels {list(presence)}.")
    for name in mentions(qa.question):
        if name not in qa.subjects:
            raise _fault(
                where, f"subjects must hold all that the question names: {mention(name)} is missing."
            )
    if qa.type != "existence":
        if qa.polarity is not None:
            raise _fault(where, f"only existence questions have a polarity: this one is of type {qa.type!r}.")
        return
    if qa.polarity is None:
        raise _fault(where, 'an existence question needs a polarity: "yes" or "no".')
    if not qa.subjects:
        raise _fault(where, "an existence question needs subjects: got none.")
    truth = {presence[name] for name in qa.subjects}  # some present, some not: it depends on the wording
    if truth == {qa.polarity == "no"}:
        raise _fault(
            where,
            f"polarity {qa.polarity!r} contradicts presence "
            f"{ ({name: presence[name] for name in qa.subjects}) }. Correct one of them.",
        )


_Kind = tuple[str, Callable[[Any], bool]]


def _one_of(options: tuple[str, ...]) -> _Kind:
    return f"one of {list(options)}", lambda v: v in options


def _is_flags(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(v, bool) for v in value.values())


_TEXT: _Kind = ("a non-empty string", lambda v: isinstance(v, str) and bool(v.strip()))
_NUMBER: _Kind = (
    "a finite number of seconds",
    lambda v: isinstance(v, int | float) and not isinstance(v, bool) and abs(v) < 1e9,
)
_VERSION: _Kind = (
    f"{SCHEMA_VERSION}, the only version this pvchat reads",
    lambda v: isinstance(v, int) and not isinstance(v, bool) and v == SCHEMA_VERSION,
)
_CLIP: dict[str, _Kind] = {
    "schema_version": _VERSION,
    "id": _TEXT,
    "path": _TEXT,
    "presence": ('an object like {"tom": true}', _is_flags),
    "source_id": _TEXT,
    "origin": _one_of(get_args(Origin)),
    "split": _one_of(get_args(Split)),
    "licence": _TEXT,
    "consent": _TEXT,
    "qa": ("a list of objects", lambda v: isinstance(v, list) and all(isinstance(q, dict) for q in v)),
}
_CLIP_OPTIONAL: dict[str, _Kind] = {
    "start_s": _NUMBER,
    "end_s": _NUMBER,
    "background": _TEXT,
    "clothes": _TEXT,
    "motion": _TEXT,
    "look_alike": ("true or false", lambda v: isinstance(v, bool)),
}
_QA: dict[str, _Kind] = {"question": _TEXT, "answer": _TEXT, "type": _one_of(get_args(QuestionType))}
_QA_OPTIONAL: dict[str, _Kind] = {
    "polarity": _one_of(get_args(Polarity)),
    "subjects": ("a list of names", lambda v: isinstance(v, list) and all(isinstance(n, str) for n in v)),
}


def _parse(line: str, where: str, folder: Path) -> Record:
    def refuse(text: str) -> Any:
        raise _fault(where, f"numbers must be finite: got {text}.")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        if twice := [key for key in keys if keys.count(key) > 1]:
            raise _fault(where, f"key {twice[0]!r} is given twice.")
        return dict(pairs)

    try:
        data = json.loads(line, parse_constant=refuse, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        raise _fault(where, f"not valid JSON: {error.msg} at column {error.colno}.") from error
    except UserError:
        raise
    except (RecursionError, ValueError) as error:
        what = (
            "brackets are nested too deeply" if isinstance(error, RecursionError) else "a number is too long"
        )
        raise _fault(where, f"not valid JSON: {what}.") from error
    if not isinstance(data, dict):
        raise _fault(where, f"each line must be a JSON object: got {line.strip()[:40]!r}.")
    _check_fields(data, _CLIP, _CLIP_OPTIONAL, where)
    del data["schema_version"]
    qa = []
    for number, item in enumerate(data.pop("qa"), 1):
        _check_fields(item, _QA, _QA_OPTIONAL, f"{where}, question {number}")
        named = item.pop("subjects", None)
        qa.append(QA(**item, subjects=tuple(mentions(item["question"]) if named is None else named)))
    data["path"] = Path(os.path.abspath(folder / data["path"]))
    if not _can_be_file(data["path"]):
        raise _fault(where, f"path must be one that a file can have: got {str(data['path'])[-60:]!r}.")
    return Record(**data, qa=tuple(qa), where=where)


def _can_be_file(path: Path) -> bool:
    """False for a path that is too long or has a zero byte, which no later question survives."""
    try:
        path.stat()
    except ValueError:
        return False
    except OSError as error:
        return error.errno != errno.ENAMETOOLONG
    return True


def _check_fields(
    data: dict[str, Any], required: dict[str, _Kind], optional: dict[str, _Kind], where: str
) -> None:
    known = {**required, **optional}
    for key, value in data.items():
        if key not in known:
            raise _fault(where, f"unknown key {key!r}; known: {list(known)}.")
        what, holds = known[key]
        if not (value is None and key in optional) and not holds(value):
            raise _fault(where, f"{key} must be {what}: got {json.dumps(value, ensure_ascii=False)[:60]}.")
    for key in required:
        if key not in data:
            raise _fault(where, f"key {key!r} is missing.")


def to_line(record: Record, folder: Path) -> dict[str, Any]:
    """The line of ``record``; what is None or empty by default is left out."""
    relative = Path(os.path.relpath(record.path, folder)).as_posix()
    line: dict[str, Any] = {"schema_version": SCHEMA_VERSION, "id": record.id, "path": relative}
    optional = {key: getattr(record, key) for key in _CLIP_OPTIONAL}
    line |= {key: value for key, value in optional.items() if value is not None}
    line |= {key: getattr(record, key) for key in ("source_id", "origin", "split", "licence", "consent")}
    line["presence"] = dict(record.presence)
    line["qa"] = [
        {"question": qa.question, "answer": qa.answer, "type": qa.type}
        | ({"polarity": qa.polarity} if qa.polarity else {})
        | {"subjects": list(qa.subjects)}
        for qa in record.qa
    ]
    return line
