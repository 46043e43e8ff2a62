"""Sweeps of a training that takes no time, through the command line."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from pvchat import cli
from pvchat.sweeping import point_run, runner
from pvchat.sweeping.locks import hold
from pvchat.sweeping.sweep_file import read_sweep
from pvchat.sweeping.sweep_folder import make_folder

PARTS = """
import pathlib, sys, time
given = dict(word[2:].split("=", 1) for word in sys.argv[1:] if "=" in word)
if "run_dir" in given:
    run = pathlib.Path(given["run_dir"])
    (run / "checkpoints").mkdir()
    (run / "checkpoints" / "last.ckpt").touch()
    while not (run / "seconds.txt").is_file():
        time.sleep(0.01)
    sys.exit(143)
"""
"Interrupted once it has a checkpoint, and its seconds are written."


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "POLL_SECONDS", 0.02)


def states(folder: Path) -> list[str]:
    points = (folder / "points.jsonl").read_text().splitlines()
    files = [folder / f"{n:04d}" / "point.json" for n in range(1, len(points) + 1)]
    return [json.loads(f.read_text())["state"] if f.is_file() else "pending" for f in files]


def test_a_failing_point_is_listed_and_the_others_go_on(
    sweep: Any, log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    call = ["sweep", str(sweep({"values": [2, 3, 4]})), "--out", str(out), "--workers", "2"]
    with pytest.raises(SystemExit) as end:
        cli.main(call)
    assert end.value.code == 1
    assert states(out) == ["finished", "failed", "finished"]
    shown, said = capsys.readouterr()
    assert f"1 of the points failed. Do them again, from where they were: pvchat sweep {out} --retry" in said
    assert "Best: x=4." in shown
    assert "- 2 (x=3) failed: x must not be 3: got 3." in shown
    assert json.loads((out / "summary.json").read_text())["rows"][0]["metrics"] == [2.0]
    before = log.read_text()
    with pytest.raises(SystemExit):
        cli.main(call)
    assert log.read_text() == before, "nothing is done twice"
    with pytest.raises(SystemExit):
        cli.main([*call, "--retry-failed"])
    assert log.read_text() == before + "begun 3\n"


@pytest.mark.parametrize("name", ["metrics.json", "point.json", "run.json"])
def test_a_point_whose_files_are_broken_is_listed(
    name: str, sweep: Any, log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    call = ["sweep", str(sweep({"values": [1, 2, 4]})), "--out", str(out)]
    assert cli.main(call) == 0
    (out / "0002" / name).write_text('{"test/sc')
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        cli.main(call)
    assert end.value.code == 1
    assert states(out) == ["finished", "failed", "finished"]
    shown = capsys.readouterr().out
    assert f"- 2 (x=2) failed: cannot read {out}/0002/{name}: it is malformed" in shown
    assert "Best: x=4." in shown
    assert cli.main([*call, "--retry-failed"]) == 0
    assert states(out) == ["finished"] * 3
    assert log.read_text().count("begun") == 4


def test_a_point_that_leaves_broken_files_failed(
    sweep: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "half.py"
    program.write_text("import sys; open(sys.argv[-1].partition('=')[2] + '/metrics.json', 'w').write('{')")
    file, out = sweep({"values": [1, 2]}, program=str(program)), tmp_path / "out"
    with pytest.raises(SystemExit):
        cli.main(["sweep", str(file), "--out", str(out)])
    assert states(out) == ["failed", "failed"]
    assert "[1/2] x=1: failed: cannot read" in capsys.readouterr().err


def test_seconds_are_of_all_parts(sweep: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of those whose own process was killed: they are written meanwhile."""
    monkeypatch.setattr(point_run, "WATCH_SECONDS", 0.1)
    program = tmp_path / "parts.py"
    program.write_text(PARTS)
    folder = make_folder(tmp_path / "out", read_sweep(sweep({"values": [1]}, program=str(program))))
    assert point_run.run_point(folder, 1) == 143
    (folder.points[0].folder / "seconds.txt").write_text("1000")
    assert point_run.run_point(folder, 1) == 0
    assert 1000 < folder.about(folder.points[0])["seconds"] < 1100


def test_seeds_are_one_row(sweep: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parameters = {"x": {"values": [1, 2]}, "seed_everything": {"values": [0, 1]}}
    file = sweep({}, parameters=parameters)
    assert cli.main(["sweep", str(file), "--out", str(tmp_path / "out"), "--workers", "2"]) == 0
    rows = json.loads((tmp_path / "out" / "summary.json").read_text())["rows"]
    assert rows == [
        {"values": {"x": 1}, "points": [1, 2], "metrics": [1.0, 1.0]},
        {"values": {"x": 2}, "points": [3, 4], "metrics": [2.0, 2.0]},
    ]


def test_a_sweep_grows_but_is_no_other(
    sweep: Any, log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "out")
    assert cli.main(["sweep", str(sweep({"values": [1]})), "--out", out]) == 0
    assert cli.main(["sweep", str(sweep({"values": [1, 2]})), "--out", out]) == 0
    assert log.read_text().count("done") == 2
    assert cli.main(["sweep", str(sweep({"values": [2]})), "--out", out]) == 2
    assert "a folder holds one sweep" in capsys.readouterr().err
    assert cli.main(["sweep", str(sweep({"values": [1, 2]}, seconds=1)), "--out", out]) == 2
    assert "has another (command). Give another --out." in capsys.readouterr().err
    assert cli.main(["sweep", out]) == 0  # goes on without its file


def test_a_metric_that_no_run_logs(sweep: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = sweep({"values": [1, 2]}, metric={"name": "test/skore"})
    assert cli.main(["sweep", str(file), "--out", str(tmp_path / "out")]) == 0
    shown = capsys.readouterr().err
    assert shown.count("metric.name must be something that runs log") == 1
    assert "has no 'test/skore', but test/score" in shown
    assert states(tmp_path / "out") == ["finished", "finished"]
    file = sweep({"values": [1, 2]})
    assert cli.main(["sweep", str(file), "--out", str(tmp_path / "out")]) == 0
    assert "Best: x=2." in capsys.readouterr().out


def test_after_the_target_no_point_is_begun(
    sweep: Any, log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metric = {"name": "test/score", "goal": "maximize", "target": 2}
    out = tmp_path / "out"
    file = sweep({"values": [1, 2, 4]}, metric=metric)
    assert cli.main(["sweep", str(file), "--out", str(out)]) == 0
    assert states(out) == ["finished", "finished", "pending"]
    assert "Point 2 reaches metric.target (2.000): no other is begun." in capsys.readouterr().err
    file = sweep({"values": [1, 2, 4]}, metric=metric | {"target": 5})
    assert cli.main(["sweep", str(file), "--out", str(out)]) == 0
    assert " ".join(log.read_text().split()) == "begun 1 done 1 begun 2 done 2 begun 4 done 4"


def test_one_process_in_a_folder(sweep: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, file = tmp_path / "out", str(sweep({"values": [1]}))
    out.mkdir()
    make_folder(out, read_sweep(Path(file)))
    held = hold(out / ".lock")
    assert held is not None
    grown = str(sweep({"values": [1, 2]}))
    assert cli.main(["sweep", grown, "--out", str(out)]) == 2
    assert "another is at work" in capsys.readouterr().err
    assert states(out) == ["pending"], "nothing is written before"
    os.close(held)
    held = hold(out / ".0001.lock")
    assert held is not None
    assert cli.main(["sweep", str(out), "--point", "1"]) == 2
    assert "a point is done by one process" in capsys.readouterr().err
    os.close(held)
    assert cli.main(["sweep", str(out), "--point", "2"]) == 2
    assert "--point must be in 1..1: got 2." in capsys.readouterr().err
    with pytest.raises(SystemExit) as end:
        cli.main(["sweep", str(out), "--point", "1"])
    assert end.value.code == 0
    assert states(out) == ["finished"]


def test_a_point_alone_that_failed_says_so(
    sweep: Any, log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a job of an array, whose output is all that is seen of it."""
    make_folder(tmp_path / "out", read_sweep(sweep({"values": [3]})))
    call = ["sweep", str(tmp_path / "out"), "--point", "1"]
    for more, begun in (([], 1), ([], 1), (["--retry-failed"], 2)):
        with pytest.raises(SystemExit) as end:
            cli.main([*call, *more])
        assert end.value.code == 1
        assert "[1/1] x=3: failed: x must not be 3: got 3. (" in capsys.readouterr().err
        assert log.read_text().count("begun") == begun


def test_a_point_that_is_told_to_end_is_to_be_done_again(sweep: Any, log: Path, tmp_path: Path) -> None:
    """By a SLURM job, which is requeued on 143."""
    out = tmp_path / "out"
    file = sweep({"values": [1]}, seconds=60)
    make_folder(out, read_sweep(file))
    process = subprocess.Popen([sys.executable, "-m", "pvchat.cli", "sweep", out, "--point", "1"])
    deadline = time.monotonic() + 300
    while not log.is_file():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.terminate()
    assert process.wait() == 143
    assert states(out) == ["pending"]


def test_hyperband_ends_what_is_behind(sweep: Any, tmp_path: Path) -> None:
    file = sweep(
        {"values": [1, 2, 4]},
        seconds=60,
        metric={"name": "val/score", "goal": "maximize"},
        early_terminate={"type": "hyperband", "min_iter": 2, "eta": 3},
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "pvchat.cli", "sweep", file, "--out", tmp_path / "out", "--workers", "3"]
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "out" / "0001" / "point.json").is_file():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 143
    assert states(tmp_path / "out") == ["stopped", "pending", "pending"]


@pytest.mark.parametrize("method", ["random", "bayes"])
def test_search_finds_a_good_point(method: str, sweep: Any, log: Path, tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    file = sweep({"min": 4, "max": 9}, method=method, run_cap=4)
    assert cli.main(["sweep", str(file), "--out", str(tmp_path / "out"), "--workers", "2"]) == 0
    assert states(tmp_path / "out") == ["finished"] * 4
    assert len(log.read_text().splitlines()) == 8


def test_killed_and_resumed_each_point_is_done_once(sweep: Any, log: Path, tmp_path: Path) -> None:
    """SIGKILL of the sweep alone: its two trainings go on, and the next sweep waits for them."""
    file, out = sweep({"values": [1, 2, 4, 5]}, seconds=2), tmp_path / "out"
    words = ["sweep", str(file), "--out", str(out), "--workers", "2"]
    process = subprocess.Popen([sys.executable, "-m", "pvchat.cli", *words])
    deadline = time.monotonic() + 300
    while not log.is_file() or log.read_text().count("begun") < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.kill()
    process.wait()
    assert cli.main(words) == 0
    assert sorted(log.read_text().split("\n")[:-1]) == sorted(
        f"{what} {x}" for what in ("begun", "done") for x in (1, 2, 4, 5)
    )
    assert states(out) == ["finished"] * 4


def test_a_search_grows(sweep: Any, log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Random points may be the same; ranges of bayes must hold what is there."""
    pytest.importorskip("optuna")
    for method in ("random", "bayes"):
        out = tmp_path / method
        for cap in (2, 4):
            file = sweep({"values": [4, 5]}, method=method, run_cap=cap)
            assert cli.main(["sweep", str(file), "--out", str(out)]) == 0
        assert states(out) == ["finished"] * 4
        file = sweep({"values": [6, 7]}, method=method, run_cap=5)
        assert cli.main(["sweep", str(file), "--out", str(out)]) == 2
        assert "points that are there are no longer in the file" in capsys.readouterr().err
        assert cli.main(["sweep", str(out)]) == 0


def test_a_point_that_cannot_start_or_is_killed_says_so(sweep: Any, tmp_path: Path) -> None:
    commands = {
        "its command cannot be run": ["no-such-command", "fit", "${args}"],
        "ended by SIGKILL: half": ["sh", "-c", "echo half; kill -9 $$", "fit", "${args}"],
    }
    for message, command in commands.items():
        file, out = sweep({"values": [1]}, command=command), tmp_path / command[0]
        with pytest.raises(SystemExit):
            cli.main(["sweep", str(file), "--out", str(out)])
        assert message in json.loads((out / "0001" / "point.json").read_text())["error"]


def test_a_base_that_is_not_there(sweep: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["sweep", str(sweep({"values": [1]})), "--base", "none.yaml"]) == 2
    assert "--base must be an experiment: none.yaml is no file." in capsys.readouterr().err
