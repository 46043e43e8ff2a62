"""A run that is killed (SIGKILL) in either stage and resumed ends as one left alone, to the last bit."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from tiny import CONFIG, ROOT, make_corpus

from pvchat.checkpoints import read_adapter, read_checkpoint

pytestmark = pytest.mark.slow

PATHS = [str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH")]  # this checkout first

UNIQUE = ("cost/seconds", "cost/peak_memory_gb")
LAMBDA = "objective.smooth_proximity.weight"
# 2 epochs of 4 steps in the image stage, then 4 of 5 steps in the video stage; dropout is on
SETTINGS = ("--stages.image.epochs=2", "--stages.video.epochs=4", "--checkpoint.every_n_steps=3")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("corpus"))


def command(folder: Path, corpus: Path, *arguments: str) -> tuple[list[str], dict[str, str]]:
    environment = os.environ | {
        "PVCHAT_CACHE": str(corpus.parent / "cache"),
        "PVCHAT_DATA": str(corpus),
        "PYTHONPATH": os.pathsep.join(filter(None, PATHS)),
        "OMP_NUM_THREADS": "1",
    }
    return [sys.executable, "-m", "pvchat.cli", "fit", *arguments, f"--runs={folder}"], environment


def start(folder: Path, corpus: Path, *arguments: str) -> subprocess.Popen[bytes]:
    argv, environment = command(folder, corpus, *arguments)
    return subprocess.Popen(
        argv,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        preexec_fn=listen,  # tests that run in the background hand down that Ctrl-C is ignored
    )


def listen() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def finish(folder: Path, corpus: Path, *arguments: str) -> str:
    process = start(folder, corpus, *arguments)
    shown, _ = process.communicate(timeout=300)
    assert process.returncode == 0, shown.decode()
    return shown.decode()


def rows(run: Path) -> list[dict[str, str]]:
    """Without what no two runs have in common."""
    try:
        with (run / "metrics.csv").open(newline="") as file:
            return [{k: v for k, v in row.items() if k not in UNIQUE} for row in csv.DictReader(file)]
    except FileNotFoundError:
        return []


def steps(run: Path) -> list[dict[str, str]]:
    """The rows of optimizer steps; those of validation stand between them."""
    return [row for row in rows(run) if row.get("train/loss")]


def kill_after(
    count: int, folder: Path, corpus: Path, *arguments: str, number: int = signal.SIGKILL, status: int = -9
) -> Path:
    """The signal as soon as ``count`` steps are in the log of the one run in ``folder``."""
    process = start(folder, corpus, *arguments)
    try:
        deadline = time.monotonic() + 300
        while True:
            runs = [path.parent for path in folder.glob("tiny/*/config.yaml")]
            if runs and len(steps(runs[0])) >= count:
                break
            assert process.poll() is None, process.stdout.read().decode() if process.stdout else ""
            assert time.monotonic() < deadline, "the run does not get on"
            time.sleep(0.01)
        process.send_signal(number)
        if number != signal.SIGKILL:
            process.wait(timeout=60)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == status
    return runs[0]


@pytest.fixture(scope="module")
def undisturbed(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    finish(folder, corpus, *CONFIG, *SETTINGS)
    (run,) = (folder / "tiny").iterdir()
    return run


def assert_same(run: Path, undisturbed: Path) -> None:
    ours, theirs = (read_adapter(path / "adapter")[0] for path in (run, undisturbed))
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []
    ours, theirs = (read_checkpoint(p / "checkpoints" / "last.ckpt") for p in (run, undisturbed))
    assert torch.equal(ours["state_dict"][LAMBDA], theirs["state_dict"][LAMBDA])
    assert float(ours["state_dict"][LAMBDA]) != pytest.approx(1e-4)
    assert ours["global_step"] == theirs["global_step"]
    assert rows(run) == rows(undisturbed)


@pytest.mark.parametrize(
    ("killed_after", "stage"),
    [(6, "0.0"), (12, "1.0"), (15, "1.0")],
    ids=["image", "video", "video-later"],
)
def test_killed_and_resumed_equals_undisturbed(
    corpus: Path, undisturbed: Path, tmp_path: Path, killed_after: int, stage: str
) -> None:
    """Released bug 2, and the promise of the checkpoint: adapter, lambda and log."""
    run = kill_after(killed_after, tmp_path, corpus, *CONFIG, *SETTINGS)
    done = steps(run)
    assert done[-1]["train/video_stage"] == stage
    assert 0 < read_checkpoint(run / "checkpoints" / "last.ckpt")["global_step"] <= len(done)
    assert not (run / "adapter").exists()
    finish(tmp_path, corpus, f"--resume={run}")
    assert [path.name for path in (tmp_path / "tiny").iterdir()] == [run.name]
    assert_same(run, undisturbed)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_and_resumed_equals_undisturbed(
    corpus: Path, undisturbed: Path, tmp_path: Path, number: int, status: int
) -> None:
    """A signal that can be heard is answered with a checkpoint: no step is done twice."""
    run = kill_after(13, tmp_path, corpus, *CONFIG, *SETTINGS, number=number, status=status)
    assert read_checkpoint(run / "checkpoints" / "last.ckpt")["global_step"] == len(steps(run))
    finish(tmp_path, corpus, f"--resume={run}")
    assert_same(run, undisturbed)


def test_killed_twice(corpus: Path, undisturbed: Path, tmp_path: Path) -> None:
    run = kill_after(6, tmp_path, corpus, *CONFIG, *SETTINGS)
    assert kill_after(16, tmp_path, corpus, f"--resume={run}") == run
    finish(tmp_path, corpus, f"--resume={run}")
    assert_same(run, undisturbed)


def test_a_finished_run_resumes_to_itself(corpus: Path, undisturbed: Path, tmp_path: Path) -> None:
    before = rows(undisturbed)
    assert "complete already" in finish(tmp_path, corpus, f"--resume={undisturbed}")
    assert rows(undisturbed) == before
    assert_same(undisturbed, undisturbed)
