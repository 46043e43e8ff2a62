"""A W&B server that is gone in the middle of an online run: it goes on, and `wandb sync` sends the rest."""

import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest
from wandb_file import read_history, read_records, wait_for_end
from wandb_server import WandbServer, serving

pytestmark = pytest.mark.slow

RUN = """
import sys, time
from pathlib import Path
from pvchat.loggers import wandb_log
wandb_log.END_SECONDS = 3.0
log = wandb_log.WandbLog(Path(sys.argv[1]), "x", online=True)
for step in range(3):
    log.log_metrics({"train/loss": 1.0}, step=step)
print(log.version, flush=True)
sys.stdin.readline()
began = time.monotonic()
for step in range(3, 103):
    log.log_metrics({"train/loss": 1.0}, step=step)
print(time.monotonic() - began, flush=True)
log.finalize(sys.argv[2])
"""


def steps(rows: list[dict[str, float]]) -> list[float]:
    return [row["trainer/global_step"] for row in rows]


def arrived(server: WandbServer, run: str, number: int, *, seconds: float = 120.0) -> None:
    until = time.monotonic() + seconds
    while len(server.rows(run)) < number:
        assert time.monotonic() < until, server.rows(run)
        time.sleep(0.1)


def test_it_goes_on_and_nothing_is_lost(tmp_path: Path) -> None:
    folder = tmp_path / "a run"
    folder.mkdir()
    with serving() as server:
        environment = server.environment(tmp_path)
        with subprocess.Popen(
            [sys.executable, "-c", RUN, str(folder), "failed"],
            env=environment,
            cwd=tmp_path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout
            run = process.stdout.readline().strip()
            arrived(server, run, 3)
            server.stop()
            began = time.monotonic()
            told, said = process.communicate("\n", timeout=300)
        assert process.returncode == 0, said
        assert float(told) < 5.0, "a hundred steps waited for the server"
        assert time.monotonic() - began < 60.0
        (path,) = folder.glob("wandb/run-*/*.wandb")
        assert steps(read_history(wait_for_end(path))) == list(range(103))
        assert [r.exit.exit_code for r in read_records(path) if r.HasField("exit")] == [1]
        assert steps(server.rows(run)) == [0, 1, 2]

        sentence = "W&B did not get all of the run, which is whole on disk. Send it later: "
        (line,) = (line for line in said.splitlines() if line.startswith(sentence))
        assert said.rstrip().endswith(line)
        server.start()
        command = shlex.split(line.removeprefix(sentence))
        subprocess.run(
            [sys.executable, "-m", *command], env=environment, cwd=tmp_path, check=True, timeout=300
        )
        assert set(steps(server.rows(run))) == set(range(103))
        assert server.ended == {run: 1}
