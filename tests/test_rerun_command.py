"""``pvchat rerun``: the same to the last bit, or an explanation; the first run is left alone."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tiny import CONFIG, ROOT, make_corpus, run_once

from pvchat import cli
from pvchat.rerun_command import explanation, report
from pvchat.runs import find_run


def content(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def result(out: Path) -> dict[str, Any]:
    return json.loads((out / "rerun.json").read_text())  # type: ignore[no-any-return]


def write(folder: Path, metrics: dict[str, float], record: dict[str, Any], sha256: str) -> Path:
    (folder / "adapter").mkdir(parents=True)
    for name, value in (("metrics", metrics), ("run", record), ("adapter/adapter", {"sha256": sha256})):
        (folder / f"{name}.json").write_text(json.dumps(value))
    return folder


def test_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = {"config": {"name": "a"}, "environment": {"code": "1"}}
    metrics = {"test/main/a": 0.5, "test/main/b": float("nan")}
    a, b = (write(tmp_path / name, metrics, record, "w") for name in "ab")
    report(a, b)
    assert "same: none of 2 metrics differs by a bit, nor do the trained weights." in capsys.readouterr().out
    kept = {"repeats": str(a), "same": True, "same_weights": True, "metrics": {}, "changed": {}}
    assert result(b) == kept


def test_what_differs_and_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    was = {"config": {"model": {"lr": 1}}, "environment": {"code": "1", "packages": {"torch": "2.1"}}}
    now = {"config": {"model": {"lr": 1}}, "environment": {"code": "1", "packages": {"torch": "2.2"}}}
    a = write(tmp_path / "a", {"x": 0.5, "y": 0.25, "z": 1.0, "gone": 0.0}, was, "w")
    b = write(tmp_path / "b", {"x": 0.5, "y": 0.75, "z": 1.0 + 2**-50}, now, "v")
    with pytest.raises(SystemExit, match="1"):
        report(a, b)
    shown = capsys.readouterr().out
    assert "not the same: 3 of 4 metrics differ" in shown
    rows = {line.split()[0]: line.split()[1:] for line in shown.splitlines() if line}
    assert rows["y"] == ["0.25", "0.75", "0.5"]
    assert rows["gone"] == ["0", "-", "inf"]
    assert rows["environment.packages.torch"] == ["2.1", "2.2"]
    assert list(rows).index("gone") < list(rows).index("y") < list(rows).index("z")  # largest first
    assert result(b)["metrics"]["y"] == [0.25, 0.75]
    assert not result(b)["same_weights"]


def test_nothing_on_record_differs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = {"environment": {"code": "1"}}
    a = write(tmp_path / "a", {"x": 0.5}, record, "w")
    b = write(tmp_path / "b", {"x": 0.6}, record, "w")
    with pytest.raises(SystemExit):
        report(a, b)
    assert "Nothing that is on record has changed" in capsys.readouterr().out


def test_explanation_is_about_what_metrics_depend_on() -> None:
    was = {"started": "1", "config": {"name": "a", "threads": None, "seed": 1}, "environment": {"code": "1"}}
    now = {"started": "2", "config": {"name": "b", "threads": 2, "seed": 3}, "environment": {"code": "2"}}
    assert explanation(was, now) == {"config.seed": [1, 3], "environment.code": ["1", "2"]}


def test_of_an_old_run_only_what_it_recorded() -> None:
    was = {"base": "x", "environment": {"packages": {"torch": "2.1"}, "git": None}}
    now = {
        "base": "y",
        "config": {"a": 1},
        "environment": {"code": "1", "packages": {"torch": "2.2", "pip": "1"}},
    }
    assert explanation(was, now) == {"base": ["x", "y"], "environment.packages.torch": ["2.1", "2.2"]}


def test_no_run_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["rerun", str(tmp_path)]) == 2
    assert "a run folder holds config.yaml" in capsys.readouterr().err


@pytest.fixture
def copy(tiny_run: Path, tmp_path: Path) -> Path:
    """A run to change, with the name of its folder."""
    return shutil.copytree(tiny_run, tmp_path / "trained" / tiny_run.name)


def test_what_the_config_refuses_leaves_nothing(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = (copy / "config.yaml").read_text()
    (copy / "config.yaml").write_text(f"{config}\nof_tomorrow: 1\n")
    assert cli.main(["rerun", str(copy)]) == 2
    assert f"{copy} cannot be repeated here: " in (shown := capsys.readouterr().err)
    assert "of_tomorrow" in shown
    assert [p.name for p in copy.parent.parent.iterdir()] == ["trained"]


def test_a_folder_in_use_is_left_alone(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = content(copy)
    assert cli.main(["rerun", str(copy), "--out", str(copy)]) == 2
    assert "--out must be a new or empty folder" in capsys.readouterr().err
    assert content(copy) == before


@pytest.mark.slow
def test_a_rerun_is_the_same_to_the_last_bit(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = content(copy)
    assert cli.main(["rerun", str(copy.parent)]) == 0
    assert "differs by a bit, nor do the trained weights." in capsys.readouterr().out
    assert content(copy) == before
    out = find_run(copy.parent.with_name("trained-rerun"))
    again = content(out)
    for name in ("metrics.json", "predictions.jsonl", "adapter/adapter.safetensors"):
        assert again[name] == before[name], name
    assert json.loads(again["run.json"])["repeats"] == str(copy)
    assert result(out)["changed"] == {}


@pytest.mark.slow
def test_a_setting_that_was_changed_by_hand_is_named(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = (copy / "config.yaml").read_text()
    (copy / "config.yaml").write_text(config.replace("warmup_steps: 2", "warmup_steps: 0"))
    out = copy.parent.parent / "again"
    with pytest.raises(SystemExit, match="1"):
        cli.main(["rerun", str(copy), "--out", str(out)])
    assert result(out)["changed"] == {"config.model.warmup_steps": [2, 0]}
    assert result(out)["metrics"]
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["config.model.warmup_steps", "2", "0"] in rows


@pytest.mark.slow
def test_of_other_data_there_is_no_rerun(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = make_corpus(tmp_path / "corpus")
    run = run_once(manifest, tmp_path / "runs")
    (manifest.parent / "clips" / "train0.mp4").write_bytes(
        (manifest.parent / "clips" / "test0.mp4").read_bytes()
    )
    assert cli.main(["rerun", str(run)]) == 2
    assert "1 clips have changed (" in (shown := capsys.readouterr().err)
    assert "train0.mp4" in shown
    assert [p.name for p in run.parent.parent.iterdir()] == ["trained"]


@pytest.mark.slow
def test_a_baseline_and_a_start_from_another_run(tiny_run: Path, tiny_corpus: Path, tmp_path: Path) -> None:
    """A baseline is fitted with no step; a warm start begins where the first did."""
    data = (f"--data.source.path={tiny_corpus}", f"--data.cache_dir={tiny_corpus.parent / 'cache'}")
    majority = str(ROOT / "experiments" / "baselines" / "majority.yaml")
    short = ("--stages.image.epochs=1", "--stages.video.epochs=0", "--model.controls=[main]")
    for name, more in (
        ("majority", ("-c", majority, *data)),
        ("warm", (*data, *short, f"--init_from={tiny_run}")),
    ):
        assert cli.main(["fit", *CONFIG, *more, f"--name={name}", f"--runs={tmp_path}"]) == 0
        run = find_run(tmp_path / name)
        assert cli.main(["test", "--run", str(run), "--model.max_new_tokens=4"]) == 0
        assert cli.main(["rerun", str(run), "--out", str(tmp_path / f"{name} again")]) == 0
        found = result(tmp_path / f"{name} again")
        assert (found["same"], found["same_weights"], found["changed"]) == (True, True, {})
    begun = json.loads((find_run(tmp_path / "warm") / "run.json").read_text())["init_from"]
    assert begun["path"] == str(tiny_run / "adapter")
