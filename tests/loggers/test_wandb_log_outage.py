"""A W&B server that is gone in the middle of an online run: it goes on, and `wandb sync` sends the rest."""

import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from wandb_file import read_history, read_records, wait_for_end
from wandb_server import WandbServer, serving

pytestmark = pytest.mark.slow

TRAINING = """
import sys, time
from pathlib import Path
from pvchat.loggers import wandb_log
wandb_log.END_SECONDS = float(sys.argv[2])
log = wandb_log.WandbLog(Path(sys.argv[1]), "x", online=True)
for step in range(3):
    log.log_metrics({"train/loss": 1.0}, step=step)
print(log.version, flush=True)
sys.stdin.readline()
began = time.monotonic()
for step in range(3, 103):
    log.log_metrics({"train/loss": 1.0}, step=step)
print(time.monotonic() - began, flush=True)
sys.stdin.readline()
log.finalize(sys.argv[3])
"""
Run = tuple[str, subprocess.Popen[str]]  # its id and process
SENTENCE = "W&B did not get all of the run, which is whole on disk. Send it later: "


@pytest.fixture
def server() -> Iterator[WandbServer]:
    with serving() as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "a run"
    folder.mkdir()
    return folder


@contextmanager
def interrupted(server: WandbServer, folder: Path, *words: str) -> Iterator[Run]:
    """A run that has logged three steps with the server and a hundred without it; ends when it is told to."""
    with subprocess.Popen(
        [sys.executable, "-c", TRAINING, str(folder), *words],
        env=server.environment(folder.parent),
        cwd=folder.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stdout
        run, until = process.stdout.readline().strip(), time.monotonic() + 120
        while steps(server, run) != [0, 1, 2]:
            assert time.monotonic() < until, server.rows(run)
            time.sleep(0.1)
        server.stop()
        print(file=process.stdin, flush=True)
        assert float(process.stdout.readline()) < 5.0, "a hundred steps waited for the server"
        yield run, process


def steps(server: WandbServer, run: str) -> list[int]:
    return [row["trainer/global_step"] for row in server.rows(run)]


def on_disk(folder: Path) -> tuple[list[int], list[int]]:
    """Steps and exit codes."""
    (path,) = folder.glob("wandb/run-*/*.wandb")
    history = read_history(wait_for_end(path))
    ends = [record.exit.exit_code for record in read_records(path) if record.HasField("exit")]
    return [row["trainer/global_step"] for row in history], ends


def test_what_it_did_not_get_is_sent_later(server: WandbServer, folder: Path) -> None:
    with interrupted(server, folder, "3", "failed") as (run, process):
        began = time.monotonic()
        _, said = process.communicate("\n", timeout=300)
    assert process.returncode == 0, said
    assert time.monotonic() - began < 60.0
    assert on_disk(folder) == (list(range(103)), [1])
    assert steps(server, run) == [0, 1, 2]
    last = said.strip().splitlines()[-1]
    assert last.startswith(SENTENCE)
    assert said.count(SENTENCE) == 1

    server.start()
    command = [sys.executable, "-m", *shlex.split(last.removeprefix(SENTENCE))]
    subprocess.run(command, env=server.environment(folder), cwd=folder, check=True, timeout=300)
    assert set(steps(server, run)) == set(range(103))
    assert server.ended == {run: 1}


def test_one_that_comes_back_gets_all(server: WandbServer, folder: Path) -> None:
    with interrupted(server, folder, "300", "success") as (run, process):
        server.start()
        _, said = process.communicate("\n", timeout=400)
    assert process.returncode == 0, said
    assert SENTENCE not in said
    assert steps(server, run) == list(range(103))
    assert server.ended == {run: 0}
