"""The SLURM script with stand-ins for ``srun`` and ``scontrol``: preempted, requeued, gone on with, done."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_resume import PATHS, rows
from tiny import CONFIG, ROOT, make_corpus

from pvchat.checkpoints import read_checkpoint

pytestmark = pytest.mark.slow


def executable(path: Path, text: str) -> None:
    path.write_text(f"#!/usr/bin/env bash\n{text}\n")
    path.chmod(0o755)


def test_a_preempted_job_is_requeued_and_goes_on(tmp_path: Path) -> None:
    corpus = make_corpus(tmp_path)
    (tools := tmp_path / "bin").mkdir()
    executable(tools / "srun", 'exec "$@"')
    executable(tools / "scontrol", f'echo "$@" >> {tmp_path / "requeued"}')
    executable(tools / "pvchat", f'exec "{sys.executable}" -m pvchat.cli "$@"')
    environment = os.environ | {
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(filter(None, PATHS)),
        "PVCHAT_CACHE": str(tmp_path / "cache"),
        "PVCHAT_DATA": str(corpus),
        "PVCHAT_RUNS": str(tmp_path / "runs"),
        "SLURM_JOB_ID": "17",
        "SLURM_NTASKS": "1",
        "OMP_NUM_THREADS": "1",
    }
    command = ["bash", str(ROOT / "sweeps" / "slurm.sh"), *CONFIG, "--stages.video.epochs=6"]

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    job, run = start(), tmp_path / "runs" / "slurm" / "17"
    deadline = time.monotonic() + 200
    while not (run / "metrics.csv").is_file() or len(rows(run)) < 5:
        assert job.poll() is None, job.communicate()[0].decode()
        assert time.monotonic() < deadline, "no step was taken"
        time.sleep(0.1)
    job.send_signal(signal.SIGTERM)
    shown, _ = job.communicate(timeout=200)
    assert job.returncode == 143, shown.decode()
    assert (tmp_path / "requeued").read_text() == "requeue 17\n"
    saved = read_checkpoint(run / "checkpoints" / "last.ckpt")["global_step"]
    again = start()
    shown, _ = again.communicate(timeout=200)
    assert again.returncode == 0, shown.decode()
    assert (run / "adapter" / "adapter.safetensors").is_file()
    assert read_checkpoint(run / "checkpoints" / "last.ckpt")["global_step"] > saved
    assert (tmp_path / "requeued").read_text() == "requeue 17\n"
