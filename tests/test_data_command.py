"""``pvchat data check``: through the command line, on manifests that are right and wrong."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tiny import make_corpus

from pvchat import cli
from pvchat.datamodules.manifest import QA, Record, read_manifest, write_manifest


def record(name: str, split: str, there: bool, **changes: object) -> Record:
    answer = ("Yes, <tom> is here.", "<tom> is not here.")[not there]
    qa = [QA("Is <tom> here?", answer, "existence", "yes" if there else "no", ("tom",))]
    if there:
        qa.append(QA("Where is <tom>?", "<tom> is on a beach.", "location", None, ("tom",)))
    fields = {
        "id": name, "path": Path(f"{name}.mp4"), "presence": {"tom": there}, "source_id": name,
        "split": split, "background": name, "origin": "warp" if there else "negative", "licence": "CC0",
        "consent": "given", "qa": tuple(qa),
    }  # fmt: skip
    return Record(**(fields | changes))  # type: ignore[arg-type]


@pytest.fixture
def check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    def run(records: list[Record], *options: str) -> tuple[int, str]:
        records = [replace(r, path=tmp_path / r.path) for r in records]
        for r in records:
            r.path.touch()
        write_manifest(tmp_path / "manifest.jsonl", records)
        try:
            status = cli.main(["data", "check", str(tmp_path / "manifest.jsonl"), *options])
        except SystemExit as end:
            status = int(str(end.code))
        return status, capsys.readouterr().out

    return run


def test_everything_is_counted(check: Callable[..., tuple[int, str]]) -> None:
    records = [record("a", "train", True), record("b", "train", False), record("c", "test", True)]
    status, shown = check(records)
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    assert status == 0
    assert lines[-1] == "faults: 0"
    header = lines.index(
        "questions clips all existence: yes existence: no appearance action location general when who"
    )
    assert lines[header + 2 : header + 5] == [
        "train 2 3 1 1 0 0 1 0 0 0",
        "test 1 2 1 0 0 0 1 0 0 0",
        "all 3 5 2 1 0 0 2 0 0 0",
    ]
    header = lines.index("origins real warp generated negative")
    assert lines[header + 2 : header + 5] == ["train 0 1 0 1", "test 0 1 0 0", "all 0 2 0 1"]
    header = lines.index("on screen tom none of them")
    assert lines[header + 2 : header + 5] == ["train 1 1", "test 1 0", "all 2 1"]
    header = lines.index("existence answers open with share of these yes")
    assert lines[header + 2 : header + 4] == ["Yes 0.667 1.000", "<name> 0.333 0.000"]


def test_each_of_several_subjects_is_counted(check: Callable[..., tuple[int, str]]) -> None:
    patterns = [{"tom": True, "ann": True}, {"tom": True, "ann": False}, {"tom": False, "ann": False}]
    _, shown = check([record(f"c{i}", "train", True, presence=p, qa=()) for i, p in enumerate(patterns)])
    assert ["train", "2", "1", "1"] in [line.split() for line in shown.splitlines()]


def test_leaks_are_faults_unless_allowed(check: Callable[..., tuple[int, str]]) -> None:
    records = [
        record("a", "train", True, source_id="photo", background="beach"),
        record("b", "test", True, source_id="photo", background="beach"),
    ]
    status, shown = check(records)
    assert status == 1
    assert shown.splitlines()[-5:] == [
        "fault: manifest.jsonl line 2: test clip 'b' shares its source 'photo' with train clip 'a' "
        "(manifest.jsonl line 1).",
        "fault: manifest.jsonl line 2: test clip 'b' shares its background 'beach' with train clip 'a' "
        "(manifest.jsonl line 1).",
        "--allow source accepts 1 of them.",
        "--allow background accepts 1 of them.",
        "faults: 2",
    ]
    assert check(records, "--allow", "source")[0] == 1
    assert check(records, "--allow", "source", "--allow", "background")[0] == 0


def test_many_faults_are_not_all_listed(check: Callable[..., tuple[int, str]]) -> None:
    tests = [record(f"t{i}", "test", True, source_id="photo") for i in range(12)]
    _, shown = check([record("a", "train", True, source_id="photo"), *tests])
    assert shown.count("fault: manifest") == 10
    assert "fault: .. and 2 more." in shown


def test_a_bad_line_is_a_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.jsonl").write_text("{}\n")
    with pytest.raises(SystemExit) as ended:
        cli.main(["data", "check", str(tmp_path / "bad.jsonl")])
    assert ended.value.code == 1
    assert capsys.readouterr().out == "fault: bad.jsonl line 1: key 'schema_version' is missing.\n"


def test_a_manifest_without_questions_is_counted(check: Callable[..., tuple[int, str]]) -> None:
    status, shown = check([record("a", "train", True, qa=())])
    assert status == 0
    assert "existence answers open with" in shown


def test_no_such_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["data", "check", str(tmp_path / "none.jsonl")]) == 2
    assert "none.jsonl does not exist. Give the path of a manifest.jsonl." in capsys.readouterr().err


def test_a_corpus_is_composed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus = make_corpus(tmp_path / "corpus", ("tom", "ann"), clips={"train": 4, "test": 4})
    out = tmp_path / "out"
    arguments = ["data", "compose", str(corpus), "--out", str(out), "--allow", "background"]
    arguments += [
        "--count",
        "3",
        "--held-out",
        "2",
        "--parts",
        "2",
        "--seconds",
        "0.5",
        "1",
        "--subject",
        "tom",
    ]
    assert cli.main(arguments) == 0
    shown = capsys.readouterr().out
    rows = {line[0]: line[1:] for line in map(str.split, shown.splitlines()) if line}
    assert shown.endswith(f"{out / 'manifest.jsonl'}\n")
    assert cli.main(["data", "check", str(out / "manifest.jsonl")]) == 0
    assert {r.clip_seconds for r in read_manifest(out / "manifest.jsonl")} <= {1.0, 1.5, 2.0}
    assert "when" in rows["questions"]
    capsys.readouterr()
    assert cli.main(arguments) == 2
    assert "a corpus needs a folder of its own" in capsys.readouterr().err


def test_a_corpus_is_packed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = tmp_path / "a.mp4"
    clip.write_bytes(bytes(700_000))
    records = [record(name, "train", True, path=clip) for name in "abc"]
    write_manifest(tmp_path / "manifest.jsonl", records)
    out = tmp_path / "shards"
    arguments = ["data", "pack", str(tmp_path / "manifest.jsonl"), "--out", str(out), "--shard-mb", "1"]
    assert cli.main(arguments) == 0
    assert capsys.readouterr().out == f"3 clips in 3 shards, 2.1 MB: {out}\n"
    assert cli.main(arguments) == 2
    assert "shards need a folder of their own" in capsys.readouterr().err
