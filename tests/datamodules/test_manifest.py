"""The manifest: what is refused, with its line; what is written can be read."""

import json
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from pvchat.datamodules.manifest import QA, Record, read_manifest, shared_sources, write_manifest
from pvchat.errors import UserError

Line = Callable[..., dict[str, Any]]
Write = Callable[[Path, Sequence[Any]], Path]


def edited(line: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """``line`` with keys replaced; ``qa__x`` changes its first question."""
    line = json.loads(json.dumps(line))
    for key, value in changes.items():
        target, key = (line["qa"][0], key[4:]) if key.startswith("qa__") else (line, key)
        target[key] = value
    return line


def without(line: dict[str, Any], key: str) -> dict[str, Any]:
    return {k: v for k, v in line.items() if k != key}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pressence": 1}, "unknown key 'pressence'; known: ['schema_version', 'id'"),
        ({"qa__kind": 1}, "line 2, question 1: unknown key 'kind'"),
        ({"id": 7}, "id must be a non-empty string: got 7."),
        ({"path": ""}, 'path must be a non-empty string: got "".'),
        ({"presence": [1]}, 'presence must be an object like {"tom": true}: got [1].'),
        ({"presence": {"tom": 1}}, "presence must be an object"),
        ({"presence": {}}, "presence must label at least one subject"),
        ({"presence": {"tom": True, "ann": True}}, "unknown subject 'ann' in presence; known: ['tom']."),
        ({"presence": {"ann": True}}, "unknown subject 'ann' in presence"),
        ({"presence": {"<tom>": True}}, "a subject name is 1-40 letters, digits"),
        ({"start_s": True}, "start_s must be a finite number of seconds: got true."),
        ({"start_s": 10**4000}, "start_s must be a finite number of seconds"),
        ({"path": "x" * 5000}, "path must be one that a file can have: got 'xxx"),
        ({"path": "a/" * 5000}, "line 2: path must be one that a file can have"),
        ({"path": "a\0b"}, "path must be one that a file can have"),
        ({"start_s": "0"}, "start_s must be a finite number of seconds"),
        ({"start_s": -1.0}, "time range must have 0 <= start_s < end_s: got start_s=-1.0, end_s=None."),
        ({"start_s": 3, "end_s": 3}, "time range must have 0 <= start_s < end_s: got start_s=3, end_s=3."),
        ({"end_s": 0}, "time range must have 0 <= start_s < end_s"),
        (
            {"origin": "fake"},
            "origin must be one of ['real', 'warp', 'generated', 'negative']: got \"fake\".",
        ),
        ({"split": "dev"}, "split must be one of ['reference', 'train', 'validation', 'test']"),
        ({"schema_version": 2}, "schema_version must be 1, the only version this pvchat reads: got 2."),
        ({"schema_version": True}, "schema_version must be 1"),
        ({"qa": {}}, "qa must be a list of objects: got {}."),
        ({"qa__type": "whose"}, "line 2, question 1: type must be one of ['existence', 'appearance'"),
        ({"qa__question": " "}, "question must be a non-empty string"),
        ({"qa__subjects": "tom"}, "subjects must be a list of names"),
        ({"qa__subjects": ["ann"]}, "question 1: unknown subject 'ann'; presence labels ['tom']."),
        ({"qa__subjects": []}, "subjects must hold all that the question names: <tom> is missing."),
        ({"qa__question": "Is <ann> here?"}, "question 1: unknown subject 'ann'"),
        ({"qa__answer": "No, <ann> is."}, "question 1: unknown subject 'ann'"),
        ({"qa__polarity": None}, 'an existence question needs a polarity: "yes" or "no".'),
        ({"qa__polarity": True}, "polarity must be one of ['yes', 'no']: got true."),
        ({"qa__polarity": "no"}, "polarity 'no' contradicts presence {'tom': True}. Correct one of them."),
        ({"qa__type": "general"}, "only existence questions have a polarity: this one is of type 'general'."),
        ({"qa__question": "Anybody here?"}, "an existence question needs subjects: got none."),
        ({"id": "first"}, "clip id 'first' is used before, in m.jsonl line 1."),
    ],
)
def test_each_fault_names_its_line(
    tmp_path: Path, line: Line, write_manifest_lines: Write, change: dict[str, Any], message: str
) -> None:
    lines = [line("first", present=False), edited(line("second", present=True), **change)]
    path = write_manifest_lines(tmp_path / "m.jsonl", lines)
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        read_manifest(path, check_files=False)
    assert str(caught.value).startswith("m.jsonl line 2")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, "m.jsonl line 3: not valid JSON: brackets are nested too deeply"),
        ('{"start_s": 1' + "0" * 5000 + "}", "m.jsonl line 3: not valid JSON: a number is too long"),
        ('{"id": 1,}', "m.jsonl line 3: not valid JSON: .* at column 1?[0-9]"),
        ("[1]", "m.jsonl line 3: each line must be a JSON object: got '\\[1\\]'"),
        ('{"id": "a", "id": "b"}', "m.jsonl line 3: key 'id' is given twice"),
        ('{"start_s": NaN}', "m.jsonl line 3: numbers must be finite: got NaN"),
        ('{"start_s": 1e999}', "m.jsonl line 3: start_s must be a finite number"),
        ("{}", "m.jsonl line 3: key 'schema_version' is missing"),
    ],
)
def test_lines_that_are_no_clip(
    tmp_path: Path, line: Line, write_manifest_lines: Write, text: str, message: str
) -> None:
    path = write_manifest_lines(tmp_path / "m.jsonl", [line("a", present=True), "", text])
    with pytest.raises(UserError, match=message):
        read_manifest(path, check_files=False)


@pytest.mark.parametrize(
    "key", ["id", "path", "presence", "source_id", "origin", "split", "licence", "consent"]
)
def test_required_keys(tmp_path: Path, line: Line, write_manifest_lines: Write, key: str) -> None:
    path = write_manifest_lines(tmp_path / "m.jsonl", [without(line("a", present=True), key)])
    with pytest.raises(UserError, match=f"m.jsonl line 1: key '{key}' is missing"):
        read_manifest(path, check_files=False)


def test_files(tmp_path: Path, line: Line, write_manifest_lines: Write) -> None:
    path = write_manifest_lines(tmp_path / "m.jsonl", [line("a", present=True)])
    with pytest.raises(UserError, match=r"m.jsonl line 1: clip 'a' does not exist: .*clips/a.mp4"):
        read_manifest(path)
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "a.mp4").touch()
    assert read_manifest(path)[0].path == tmp_path / "clips" / "a.mp4"
    with pytest.raises(UserError, match=r"m2.jsonl cannot be read: No such file"):
        read_manifest(tmp_path / "m2.jsonl")
    (tmp_path / "latin.jsonl").write_bytes(b"\xe9")
    with pytest.raises(UserError, match=r"latin.jsonl cannot be read: it is not UTF-8 text"):
        read_manifest(tmp_path / "latin.jsonl")
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(UserError, match=r"empty.jsonl lists no clip"):
        read_manifest(tmp_path / "empty.jsonl")


def test_every_line_labels_every_subject(tmp_path: Path, line: Line, write_manifest_lines: Write) -> None:
    two = line("a", present=True, presence={"tom": True, "ann": False})
    path = write_manifest_lines(tmp_path / "m.jsonl", [two, line("b", present=True)])
    with pytest.raises(UserError, match=r"line 2: presence must label every subject: 'ann' is missing"):
        read_manifest(path, check_files=False)
    with pytest.raises(UserError, match=r"line 1: unknown subject 'ann' in presence; known: \['tom'\]"):
        read_manifest(path, subjects=["tom"], check_files=False)


@pytest.mark.parametrize("polarity", ["yes", "no"])
def test_one_of_two_present_may_be_either(
    tmp_path: Path, line: Line, write_manifest_lines: Write, polarity: str
) -> None:
    """ "Is <tom> or <ann> here?" is yes, "Are both here?" is no: only the wording tells."""
    qa = {"question": "<tom>? <ann>?", "answer": "?", "type": "existence", "polarity": polarity}
    item = line("a", present=True, presence={"tom": True, "ann": False}, qa=[qa])
    [record] = read_manifest(write_manifest_lines(tmp_path / "m.jsonl", [item]), check_files=False)
    assert record.qa[0].subjects == ("tom", "ann")


def test_a_test_clip_may_not_be_trained_on(tmp_path: Path, line: Line, write_manifest_lines: Write) -> None:
    train = line("a", present=True, path="x.mp4", start_s=0, end_s=5)
    test = line("b", present=True, path="./x.mp4", split="test", start_s=4.5)
    path = write_manifest_lines(tmp_path / "m.jsonl", [train, test])
    with pytest.raises(
        UserError, match=r"line 2: test clip 'b' shows the same seconds of x.mp4 as train clip 'a'"
    ):
        read_manifest(path, check_files=False)
    path = write_manifest_lines(tmp_path / "m.jsonl", [{**train, "split": "validation"}, test])
    with pytest.raises(UserError, match=r"the same seconds of x.mp4 as validation clip 'a'"):
        read_manifest(path, check_files=False)
    path = write_manifest_lines(tmp_path / "m.jsonl", [train, {**test, "start_s": 5, "source_id": "s"}])
    assert shared_sources(read_manifest(path, check_files=False)) == set()
    path = write_manifest_lines(
        tmp_path / "m.jsonl", [{**train, "source_id": "s"}, {**test, "start_s": 5, "source_id": "s"}]
    )
    assert shared_sources(read_manifest(path, check_files=False)) == {"s"}


def records(folder: Path) -> list[Record]:
    qa = (
        QA("Is <Zoë K> here?", "Yes, <Zoë K> is.\u2028", "existence", "yes", ("Zoë K",)),
        QA("What is seen?", 'Line\nbreaks "and quotes".', "general"),
    )
    full = Record(
        id="1",
        path=folder / "a" / "b c.mp4",
        start_s=1.5,
        end_s=2.0,
        presence={"Zoë K": True},
        source_id="photo 1",
        background="beach",
        clothes="red",
        motion="nod",
        origin="warp",
        split="reference",
        licence="CC0",
        consent="given",
        qa=qa,
    )
    plain = Record(
        id="2",
        path=folder.parent / "elsewhere.jpg",
        presence={"Zoë K": False},
        source_id="s",
        look_alike=True,
        origin="negative",
        split="test",
        licence="CC0",
        consent="none needed",
    )
    return [full, plain]


def test_round_trip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "corpus"
    write_manifest(folder / "manifest.jsonl", records(folder))
    assert read_manifest(folder / "manifest.jsonl", check_files=False) == records(folder)
    lines = [json.loads(text) for text in (folder / "manifest.jsonl").read_text().strip().split("\n")]
    assert [item["path"] for item in lines] == ["a/b c.mp4", "../elsewhere.jpg"]
    assert [item["schema_version"] for item in lines] == [1, 1]
    assert [item.get("look_alike") for item in lines] == [None, True]
    monkeypatch.chdir(folder)
    assert read_manifest("manifest.jsonl", check_files=False) == records(folder)


def test_moved_with_its_clips(tmp_path: Path) -> None:
    write_manifest(tmp_path / "old" / "manifest.jsonl", records(tmp_path / "old"))
    (tmp_path / "old").rename(tmp_path / "new")
    moved = read_manifest(tmp_path / "new" / "manifest.jsonl", check_files=False)
    assert moved[0].path == tmp_path / "new" / "a" / "b c.mp4"


def test_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "manifest.jsonl"
    write_manifest(path, records(tmp_path))
    before = path.read_bytes()

    def crash(*_: object) -> None:
        raise OSError("the power went")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", crash)
        with pytest.raises(OSError, match="the power went"):
            write_manifest(path, records(tmp_path)[:1])
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["manifest.jsonl"]


def test_nothing_false_is_written(tmp_path: Path) -> None:
    twice = [records(tmp_path)[0]] * 2
    with pytest.raises(UserError, match="clip '1': clip id '1' is used before"):
        write_manifest(tmp_path / "m.jsonl", twice)
    assert not list(tmp_path.iterdir())


def test_example_of_the_docs(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "data.md").read_text()
    example = text.split("```json\n")[1].split("```")[0].replace("\n", " ")
    (tmp_path / "m.jsonl").write_text(example)
    [record] = read_manifest(tmp_path / "m.jsonl", check_files=False)
    assert [qa.subjects for qa in record.qa] == [("tom",), ("tom",)]
