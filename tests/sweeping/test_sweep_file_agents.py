"""`wandb sweep` and `wandb agent` themselves, with a stand-in for the server: what ours has to equal."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tiny import ROOT, TINY
from wandb_server import WandbServer, serving

from pvchat.sweeping.suggestions import Values
from pvchat.sweeping.sweep_file import SweepFile

pytestmark = pytest.mark.slow

SWEEPS = sorted((ROOT / "sweeps").glob("*.yaml"))
TOKENS = ROOT / "sweeps" / "tokens.yaml"

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


def wandb(server: WandbServer, *words: str, folder: Path, **more: str) -> str:
    """What the command says that is called in the project; W&B keeps its things in ``folder``."""
    done = subprocess.run(
        [sys.executable, "-m", "wandb", *words],
        env=server.environment(folder) | more,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def point(number: int, program: str, values: Values) -> dict[str, Any]:
    """How the server hands one out."""
    args = {name: {"value": value} for name, value in values.items()}
    return {"type": "run", "run_id": f"run{number}", "program": program, "args": args}


def unordered(values: Values) -> list[str]:
    return sorted(map(str, values.items()))


@pytest.mark.parametrize("path", SWEEPS, ids=lambda p: p.stem)
def test_wandb_takes_it_as_it_is(path: Path, server: WandbServer, tmp_path: Path) -> None:
    said = wandb(server, "sweep", f"sweeps/{path.name}", folder=tmp_path)
    assert "wandb agent us/pvchat/sweep0" in said
    assert "WARNING" not in said
    assert "ERROR" not in said
    assert server.sweeps == {"sweep0": yaml.safe_load(path.read_text())}
    assert server.unknown == []


def test_an_agent_starts_our_commands(server: WandbServer, tmp_path: Path) -> None:
    program = tmp_path / "training.py"
    program.write_text(STAND_IN)
    config = yaml.safe_load(TOKENS.read_text()) | {"program": str(program)}
    path = tmp_path / "sweep.yaml"
    path.write_text(yaml.safe_dump(config))
    sweep = SweepFile(config)
    both = sweep.points()[0], sweep.points()[-1]
    server.points = [point(number, str(program), values) for number, values in enumerate(both)]
    id = wandb(server, "sweep", str(path), folder=tmp_path).split()[-1]
    wandb(server, "agent", id, "--count", "2", folder=tmp_path)
    lines = program.with_suffix(".jsonl").read_text().splitlines()
    for number, (line, values) in enumerate(zip(lines, both, strict=True)):
        started, (sweep_id, run_id, parameters) = json.loads(line)
        env, python, *words = sweep.command(values)
        assert env == "/usr/bin/env"
        assert Path(started[0]).samefile(python)
        assert started[1:] == words
        assert (sweep_id, run_id) == ("sweep0", f"run{number}")
        told = yaml.safe_load(Path(parameters).read_text())
        assert {name: told[name]["value"] for name in values} == values
    assert server.unknown == []


def test_an_agent_trains(server: WandbServer, tmp_path: Path, tiny_corpus: Path) -> None:
    """The swept metric arrives, in the run that the server asked for, with what was swept."""
    config = yaml.safe_load(TOKENS.read_text())
    *words, args = config["command"]
    data = (f"--data.source.path={tiny_corpus}", f"--data.cache_dir={tiny_corpus.parent / 'cache'}")
    small = (f"--config={TINY}", *data, "--stages.video.epochs=0", f"--runs={tmp_path / 'runs'}")
    path = tmp_path / "sweep.yaml"
    path.write_text(yaml.safe_dump(config | {"command": [*words, *small, args]}))
    values = {"model.chat.init_args.num_soft_tokens": 4, "seed_everything": 1}
    server.points = [point(0, config["program"], values)]
    id = wandb(server, "sweep", str(path), folder=tmp_path).split()[-1]
    wandb(server, "agent", id, "--count", "1", folder=tmp_path, PYTHONPATH=str(ROOT / "tests"))
    assert server.ended == {"run0": 0}
    assert server.runs["run0"]["sweep"] == "sweep0"
    told = {name: given["value"] for name, given in json.loads(server.runs["run0"]["config"]).items()}
    assert {name: told[name] for name in values} == values
    assert told["model"]["chat"]["init_args"]["num_soft_tokens"] == 4
    metric = config["metric"]["name"]
    (folder,) = (tmp_path / "runs" / "tiny").iterdir()
    scored = json.loads((folder / "metrics.json").read_text())[metric]
    assert [row[metric] for row in server.rows("run0") if metric in row] == [scored]


@pytest.mark.parametrize("path", SWEEPS, ids=lambda p: p.stem)
def test_points_are_those_of_wandb(path: Path) -> None:
    """``sweeps`` is W&B's own check and search. It asks for numpy < 2; this much runs with 2."""
    sweeps = pytest.importorskip("sweeps", reason="needs: pip install --no-deps sweeps jsonref")
    config = yaml.safe_load(path.read_text())
    assert sweeps.schema_violations_from_proposed_config(config) == []
    if config["method"] != "grid":
        return
    runs: list[Any] = []
    while run := sweeps.next_run(config, runs, validate=False):
        run.state = sweeps.RunState.finished
        runs.append(run)
    theirs = [{name: given["value"] for name, given in run.config.items()} for run in runs]
    ours = SweepFile(config).points()
    assert sorted(map(unordered, theirs)) == sorted(map(unordered, ours))
