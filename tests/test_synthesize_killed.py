"""A synthesis that is killed (SIGKILL) and called again ends as one left alone, to the last byte."""

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from mortal_command import FOLDER, LOG, MOMENT, run
from PIL import Image
from skimage.data import astronaut
from tiny import ROOT

pytestmark = pytest.mark.slow

PATHS = [str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH")]  # this checkout first
RECIPE = """
parts:
  - studio: {class_path: pasted_studio.PastedStudio}
    scenes: {train: 3, validation: 1, test: 2}
others: {class_path: pasted_studio.Admirals}
gate: {num_frames: 1}
questions: {existence: 3, about: 1}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("killed")
    Image.fromarray(np.asarray(astronaut())[20:260, 100:340]).save(folder / "eileen.png")
    (folder / "recipe.yaml").write_text(RECIPE)
    return folder


def request(folder: Path, out: Path) -> list[str]:
    subject = ["synthesize", "--subject", "eileen", "--reference", str(folder / "eileen.png")]
    return [*subject, "--out", str(out), "-c", str(folder / "recipe.yaml"), "--allow", "source"]


def synthesize(folder: Path, out: Path, **environment: str) -> int:
    """Status of a command in a process of its own, forked from one that has imported what takes long."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pvchat.synthesis.pipeline.synthesize"])
    process = context.Process(
        target=run, args=(request(folder, out), {FOLDER: str(out)} | environment, str(folder / "said.txt"))
    )
    process.start()
    process.join(600)
    assert process.exitcode is not None
    return process.exitcode


def content(out: Path) -> dict[str, bytes]:
    return {p.relative_to(out).as_posix(): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}


def finished_clips(out: Path) -> dict[str, int]:
    """When each clip with a history was written."""
    clips = [p.with_suffix(".mp4") for p in out.glob("clips/[!.]*.json")]
    return {p.name: p.stat().st_mtime_ns for p in clips}


@pytest.fixture(scope="module")
def undisturbed(folder: Path) -> tuple[dict[str, bytes], list[str]]:
    """What a run leaves, and the moments of it."""
    assert synthesize(folder, folder / "whole", **{LOG: str(folder / "log.txt")}) == 0
    return content(folder / "whole"), (folder / "log.txt").read_text().splitlines()


def test_killed_at_ten_moments(folder: Path, undisturbed: tuple[dict[str, bytes], list[str]]) -> None:
    whole, moments = undisturbed
    out = folder / "killed"
    for index in sorted(random.Random(4).sample(range(len(moments)), 10)):
        before = finished_clips(out)
        assert synthesize(folder, out, **{MOMENT: moments[index]}) == -signal.SIGKILL, moments[index]
        assert "manifest.jsonl" not in content(out)
        assert before.items() <= finished_clips(out).items(), "a finished clip was made again"
    assert synthesize(folder, out) == 0
    assert content(out) == whole


def test_killed_with_two_workers(folder: Path, undisturbed: tuple[dict[str, bytes], list[str]]) -> None:
    """The workers end with their command."""
    out = folder / "workers"
    command = [sys.executable, "-m", "pvchat.cli", *request(folder, out), "--workers", "2"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, PATHS)), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    while process.poll() is None and not finished_clips(out):
        time.sleep(0.01)
    process.kill()
    shown, _ = process.communicate(timeout=60)  # closed by the last of the workers
    assert process.returncode == -signal.SIGKILL, shown.decode()
    assert len(finished_clips(out)) < 11
    subprocess.run(command, env=environment, check=True, timeout=600, stdout=subprocess.DEVNULL)
    assert content(out) == undisturbed[0]
