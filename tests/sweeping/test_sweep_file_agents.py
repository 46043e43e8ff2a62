"""`wandb sweep` and `wandb agent` themselves, with a stand-in for the server: what ours has to equal."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tiny import ROOT
from wandb_server import WandbServer, serving

from pvchat.sweeping.sweep_file import SweepFile

pytestmark = pytest.mark.slow

STAND_IN = """
import json, os, pathlib, sys
set_by_agent = [os.environ[name] for name in ("WANDB_SWEEP_ID", "WANDB_RUN_ID", "WANDB_SWEEP_PARAM_PATH")]
with open(pathlib.Path(__file__).with_suffix(".jsonl"), "a") as file:
    file.write(json.dumps([[sys.executable, *sys.argv], set_by_agent]) + "\\n")
"""


@pytest.fixture
def server() -> Iterator[WandbServer]:
    with serving() as server:
        yield server


def wandb(server: WandbServer, folder: Path, *words: str) -> str:
    """What the command says."""
    done = subprocess.run(
        [sys.executable, "-m", "wandb", *words],
        env=server.environment(folder),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert server.unknown == []
    return done.stderr


@pytest.mark.parametrize("path", sorted((ROOT / "sweeps").glob("*.yaml")), ids=lambda p: p.stem)
def test_wandb_takes_it_as_it_is(path: Path, server: WandbServer, tmp_path: Path) -> None:
    said = wandb(server, tmp_path, "sweep", str(path))
    assert "wandb agent us/pvchat/sweep0" in said
    assert "WARNING" not in said
    assert "ERROR" not in said
    assert server.sweeps == {"sweep0": yaml.safe_load(path.read_text())}


def test_an_agent_starts_our_commands(server: WandbServer, tmp_path: Path) -> None:
    program = tmp_path / "training.py"
    program.write_text(STAND_IN)
    config = yaml.safe_load((ROOT / "sweeps" / "tokens.yaml").read_text()) | {"program": str(program)}
    path = tmp_path / "sweep.yaml"
    path.write_text(yaml.safe_dump(config))
    sweep = SweepFile(config)
    first, last = sweep.points()[0], sweep.points()[-1]
    server.points = [
        {
            "type": "run",
            "run_id": f"run{number}",
            "program": str(program),
            "args": {name: {"value": value} for name, value in values.items()},
        }
        for number, values in enumerate((first, last))
    ]
    id = wandb(server, tmp_path, "sweep", str(path)).split()[-1]
    wandb(server, tmp_path, "agent", id, "--count", "2")
    lines = program.with_suffix(".jsonl").read_text().splitlines()
    for number, (line, values) in enumerate(zip(lines, (first, last), strict=True)):
        started, (sweep_id, run_id, parameters) = json.loads(line)
        env, python, *words = sweep.command(values)
        assert env == "/usr/bin/env"
        assert Path(started[0]).samefile(python)
        assert started[1:] == words
        assert (sweep_id, run_id) == ("sweep0", f"run{number}")
        told = yaml.safe_load(Path(parameters).read_text())
        assert {name: told[name]["value"] for name in values} == values
