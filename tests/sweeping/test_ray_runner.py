"""Sweeps of a training that takes no time, by Ray Tune on a local cluster."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pvchat import cli

ROOT = Path(__file__).parents[2]


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setattr(os, "cpu_count", lambda: 16)  # shares are larger than what Ray has to spare


def states(folder: Path) -> list[str]:
    files = (folder / f"{n:04d}" / "point.json" for n in range(1, 1 + len(list(folder.glob("0*")))))
    return [json.loads(file.read_text())["state"] for file in files]


@pytest.mark.slow
@pytest.mark.usefixtures("ray")
def test_each_point_is_done_once_and_failures_are_listed(
    sweep: Any, log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    call = ["sweep", str(sweep({"values": [2, 3, 4, 5]})), "--out", str(out), "--workers", "2", "--ray"]
    with pytest.raises(SystemExit) as end:
        cli.main(call)
    assert end.value.code == 1
    assert states(out) == ["finished", "failed", "finished", "finished"]
    shown = capsys.readouterr()
    assert "Best: x=5." in shown.out
    assert "failed: x must not be 3: got 3." in shown.err
    lines = [f"{what} {x}" for x in (2, 3, 4, 5) for what in ("begun", "done") if (what, x) != ("done", 3)]
    assert sorted(log.read_text().splitlines()) == sorted(lines)


@pytest.mark.slow
@pytest.mark.usefixtures("ray")
def test_a_search_with_early_termination(sweep: Any, log: Path, tmp_path: Path) -> None:
    """Points of bayes depend on those before; what falls behind is ended."""
    pytest.importorskip("optuna")
    file = sweep(
        {"min": 4.0, "max": 9.0},
        seconds=30,
        method="bayes",
        run_cap=3,
        metric={"name": "val/score", "goal": "maximize"},
        early_terminate={"type": "hyperband", "min_iter": 2, "eta": 2},
    )
    out = tmp_path / "out"
    assert cli.main(["sweep", str(file), "--out", str(out), "--workers", "3", "--ray"]) == 0
    assert sorted(set(states(out))) == ["finished", "stopped"]
    assert len(states(out)) == 3
    assert Counter(states(out))["finished"] == log.read_text().count("done")


@pytest.mark.slow
@pytest.mark.usefixtures("ray")
def test_killed_and_resumed_no_point_is_done_twice(sweep: Any, log: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    file = sweep({"values": [1, 2, 4]}, seconds=4)
    words = ["sweep", str(file), "--out", str(out), "--workers", "2", "--ray"]
    process = subprocess.Popen([sys.executable, "-m", "pvchat.cli", *words])
    deadline = time.monotonic() + 600
    while not log.is_file() or log.read_text().count("done") < 1:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert cli.main(words) == 0
    assert states(out) == ["finished"] * 3
    done = sorted(line for line in log.read_text().splitlines() if "done" in line)
    assert done == ["done 1", "done 2", "done 4"]


def test_ray_is_an_extra(
    sweep: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert cli.main(["sweep", str(sweep({"values": [1]})), "--out", str(tmp_path / "o"), "--ray"]) == 2
    assert "--ray needs Ray, which is not installed: pip install 'pvchat[ray]'." in capsys.readouterr().err
