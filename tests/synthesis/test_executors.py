"""Executors: the same results in the same order wherever the work is done, and what happens when it ends."""

import os
import pickle
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from executor_workers import Environment, Squares, Unmakeable

from pvchat.errors import UserError
from pvchat.synthesis.executors import LocalExecutor, ProcessExecutor, RayExecutor
from pvchat.synthesis.roles import Executor

TESTS = Path(__file__).parents[1]
HERE = TESTS.parent


def ray(workers: int = 2) -> RayExecutor:
    pytest.importorskip("ray")
    return RayExecutor(workers)


EXECUTORS = [
    pytest.param(LocalExecutor, id="local"),
    pytest.param(lambda: ProcessExecutor(2), id="processes", marks=pytest.mark.slow),
    pytest.param(ray, id="ray", marks=pytest.mark.slow),
]


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray's workers find the modules of the tests as they would find those of an installed package."""
    monkeypatch.setenv("PYTHONPATH", f"{HERE}{os.pathsep}{TESTS}")


@pytest.mark.parametrize("make", EXECUTORS)
def test_results_are_in_the_order_of_the_items(make: Callable[[], Executor]) -> None:
    items = [7, 3, 11, 0, 5, 2, 13, 1, 4, 8, 9]
    results = list(make().map(Squares(), items))
    assert [square for square, _ in results] == [i * i for i in items]
    assert (os.getpid() in {pid for _, pid in results}) == isinstance(make(), LocalExecutor)


@pytest.mark.parametrize("make", EXECUTORS)
def test_no_items_no_results(make: Callable[[], Executor]) -> None:
    assert list(make().map(Squares(), [])) == []


@pytest.mark.parametrize("make", EXECUTORS)
def test_a_user_error_stops_the_run_with_its_sentence(make: Callable[[], Executor]) -> None:
    results: list[int] = []
    with pytest.raises(UserError, match=r"^numbers must be good: got 3\.$"):  # noqa: PT012
        for square, _ in make().map(Squares(bad=3), [1, 2, 3, 4, 5]):
            results.append(square)
    assert results == [1, 4]


@pytest.mark.parametrize("make", EXECUTORS)
def test_a_worker_that_cannot_be_made(make: Callable[[], Executor]) -> None:
    with pytest.raises(UserError, match=r"^weights must be there: got none\.$"):
        list(make().map(Unmakeable(), [1, 2]))


@pytest.mark.slow
@pytest.mark.parametrize("make", [EXECUTORS[1], EXECUTORS[2]])
def test_a_worker_that_dies_is_one_sentence(make: Callable[[], Executor]) -> None:
    with pytest.raises(UserError, match=r"Executor ended before its work was done .* what is done is kept"):
        list(make().map(Squares(deadly=3), [1, 2, 3, 4]))


@pytest.mark.slow
@pytest.mark.parametrize("make", [EXECUTORS[1], EXECUTORS[2]])
def test_workers_have_one_thread(make: Callable[[], Executor], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert list(make().map(Environment(), ["OMP_NUM_THREADS", "torch"])) == ["1", "1"]
    assert os.environ["OMP_NUM_THREADS"] == "3"


@pytest.mark.slow
def test_who_stops_reading_leaves_no_processes() -> None:
    results = ProcessExecutor(1).map(Squares(), [1, 2, 3])
    _, pid = next(results)
    results.close()  # type: ignore[attr-defined]
    assert gone(pid)


DRIVER = """
import sys
from pathlib import Path
from executor_workers import Files
from pvchat.synthesis import executors

if __name__ == "__main__":
    executor = {executor}
    for _ in executor.map(Files(Path(sys.argv[1]), 0.2), range(24)):
        print("one", flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["executors.ProcessExecutor(2)", "executors.RayExecutor(2)"])
def test_killed_in_the_middle_the_second_run_does_the_rest(tmp_path: Path, executor: str) -> None:
    if "Ray" in executor:
        pytest.importorskip("ray")
    script = tmp_path / "driver.py"
    script.write_text(DRIVER.format(executor=executor))
    folder = tmp_path / "made"
    folder.mkdir()
    killed = subprocess.Popen([sys.executable, script, folder], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while len(list(folder.glob("*.txt"))) < 6 and time.monotonic() < deadline:
        time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    first = settled(folder)
    assert 6 <= len(first) < 24
    kept = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.txt")}

    done = subprocess.run([sys.executable, script, folder], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("one\n" * 24, "")
    assert {path.name: path.read_text() for path in folder.glob("*.txt")} == {
        f"{i}.txt": str(i * i) for i in range(24)
    }
    assert {name: (folder / name).stat().st_mtime_ns for name in kept} == kept
    calls = Counter(item for item, _ in read_calls(folder))
    unfinished = {item for item, _ in first} - {name.removesuffix(".txt") for name in kept}
    assert calls == Counter({str(i): 1 + (str(i) in unfinished) for i in range(24)})
    assert len(unfinished) <= 2
    assert all(gone(int(pid)) for _, pid in first)


@pytest.mark.slow
def test_ctrl_c_ends_the_workers(tmp_path: Path) -> None:
    script = tmp_path / "driver.py"
    script.write_text(DRIVER.format(executor="executors.ProcessExecutor(2)"))
    driver = subprocess.Popen(
        [sys.executable, script, tmp_path],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a terminal sends the signal to the whole group
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # jobs in the background ignore it
    )
    assert driver.stdout
    assert driver.stdout.readline() == "one\n"
    os.killpg(driver.pid, signal.SIGINT)
    _, complaint = driver.communicate(timeout=30)
    assert complaint.count("KeyboardInterrupt") == 1
    assert all(gone(int(pid)) for _, pid in read_calls(tmp_path))


def test_workers_are_at_least_one() -> None:
    for make in (ProcessExecutor, RayExecutor):
        with pytest.raises(UserError, match=r"workers must be >= 1: got 0\."):
            make(0)


def test_ray_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'pvchat\[ray\]'\."):
        RayExecutor(1)


@pytest.mark.slow
def test_a_cluster_without_room_is_told_apart() -> None:
    """Ray itself would wait for it."""
    pytest.importorskip("ray")
    with pytest.raises(UserError, match=r"2 workers need 2 GPUs: the Ray cluster has \d"):
        list(RayExecutor(2, gpus=1 if not has_gpus() else 99).map(Squares(), [1]))


def has_gpus() -> bool:
    import torch

    return torch.cuda.is_available()


def test_what_cannot_travel_is_refused_before_a_process_starts() -> None:
    with pytest.raises((pickle.PicklingError, AttributeError)):
        next(ProcessExecutor(1).map(lambda: Squares()(), [1]))


def read_calls(folder: Path) -> list[tuple[str, str]]:
    return [tuple(line.split()) for line in (folder / "calls.log").read_text().splitlines()]  # type: ignore[misc]


def settled(folder: Path) -> list[tuple[str, str]]:
    """The calls of a run, once nobody makes more."""
    before: Any = None
    while before != (now := read_calls(folder)):
        before = now
        time.sleep(2)
    return now


def gone(pid: int) -> bool:
    """The process ends within some seconds."""
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False
