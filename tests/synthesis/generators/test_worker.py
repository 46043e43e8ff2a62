"""Real processes that work, crash, hang, answer short, answer garbage, die between questions and print."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pvchat.errors import UserError
from pvchat.synthesis.generators import serve
from pvchat.synthesis.generators.worker import Worker

HANDLERS = """
import os, subprocess, sys, time
import numpy as np

def load(settings):
    print("loading")
    os.system("echo even this")
    if settings.get("broken"):
        raise ImportError("No module named cv2")
    time.sleep(settings.get("loading_s", 0))
    marks = settings.get("marks")

    def handle(header, arrays):
        do = header["do"]
        print("working on", do)
        if do == "double":
            return {"pid": os.getpid(), "note": "done"}, [arrays[0] * 2]
        if do == "refuse":
            raise ValueError("no face\\nin sight")
        if do == "crash":
            print("CUDA out of memory", file=sys.stderr)
            os._exit(7)
        if do == "crash once" and not os.path.exists(marks):
            open(marks, "w").close()
            os._exit(9)
        if do == "hang":
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"])
            open(marks, "w").write(f"{os.getpid()} {child.pid}")
            time.sleep(100)
        return {}, [arrays[0]]

    return handle
"""
# Speaks the protocol by hand, and wrongly.
RAW = """
import struct, sys, time
out = sys.stdout.buffer
def say(header, rest=b""):
    out.write(b"PVC1" + struct.pack(">I", len(header)) + header + rest); out.flush()
say(b'{"ready": true, "arrays": []}')
sys.stdin.buffer.read(1)
"""
DATA = np.arange(6, dtype=np.uint8).reshape(2, 3)
SAME = [((2, 3), "uint8")]


@pytest.fixture
def worker(tmp_path: Path, request: pytest.FixtureRequest) -> Worker:
    return scripted(tmp_path, request)


def scripted(tmp_path: Path, request: pytest.FixtureRequest, settings: str = "{}", **limits: float) -> Worker:
    script = tmp_path / "handlers.py"
    script.write_text(HANDLERS)
    command = [sys.executable, str(serve.__file__), str(script), settings]
    worker = Worker(name="stub", command=command, **{"backoff_s": 0.01, **limits})  # type: ignore[arg-type]
    request.addfinalizer(worker.close)
    return worker


def raw(request: pytest.FixtureRequest, ending: str, **limits: float) -> Worker:
    command = [sys.executable, "-c", RAW + ending]
    worker = Worker(name="stub", command=command, **{"backoff_s": 0.01, **limits})  # type: ignore[arg-type]
    request.addfinalizer(worker.close)
    return worker


def is_alive(pid: int) -> bool:
    """A zombie, which its new parent has not yet collected, is dead."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_one_process_answers_again_and_again_whatever_it_prints(worker: Worker) -> None:
    large = np.random.default_rng(0).integers(0, 100, (400, 1000), np.uint8)  # more than a pipe holds
    first, (doubled,) = worker.ask({"do": "double"}, [large], [(large.shape, "uint8")])
    np.testing.assert_array_equal(doubled, large * 2)
    second, _ = worker.ask({"do": "double"}, [DATA], SAME)
    assert first["note"] == "done"
    assert first["pid"] == second["pid"] != os.getpid()


def test_what_it_refuses_is_said_and_it_goes_on(worker: Worker) -> None:
    pid = worker.ask({"do": "double"}, [DATA], SAME)[0]["pid"]
    with pytest.raises(UserError, match="stub refuses what it was given: no face in sight"):
        worker.ask({"do": "refuse"}, [DATA], SAME)
    assert worker.ask({"do": "double"}, [DATA], SAME)[0]["pid"] == pid


def test_one_that_died_between_questions_is_started_again(worker: Worker) -> None:
    pid = worker.ask({"do": "double"}, [DATA], SAME)[0]["pid"]
    os.kill(pid, signal.SIGKILL)
    header, (doubled,) = worker.ask({"do": "double"}, [DATA], SAME)
    assert header["pid"] != pid
    np.testing.assert_array_equal(doubled, DATA * 2)


def test_a_crash_is_tried_again_and_a_second_one_named(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    marks = tmp_path / "crashed"
    worker = scripted(tmp_path, request, f'{{"marks": "{marks}"}}', max_restarts=1)
    np.testing.assert_array_equal(worker.ask({"do": "crash once"}, [DATA], SAME)[1][0], DATA)
    assert marks.exists()
    with pytest.raises(UserError, match=r"crashed 2 times \(exit code 7\); .* was: CUDA out of memory\."):
        worker.ask({"do": "crash"}, [DATA], SAME)
    worker.ask({"do": "double"}, [DATA], SAME)


def test_restarts_wait_longer_each_time(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, waits = scripted(tmp_path, request, max_restarts=2, backoff_s=3), list[float]()
    monkeypatch.setattr("pvchat.synthesis.generators.worker.time.sleep", waits.append)
    with pytest.raises(UserError, match="crashed 3 times"):
        worker.ask({"do": "crash"}, [DATA], SAME)
    assert [wait for wait in waits if wait >= 1] == [3, 6]  # others wait for the process to end


def test_one_that_hangs_is_stopped_with_all_it_started(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    marks = tmp_path / "pids"
    worker = scripted(tmp_path, request, f'{{"marks": "{marks}"}}')
    worker.ask({"do": "double"}, [DATA], SAME)
    worker.request_timeout_s = 1.5
    large = np.zeros((3000, 1000), np.uint8)
    with pytest.raises(UserError, match=r"did not answer within 1\.5 s; its last line was: working on hang"):
        worker.ask({"do": "hang"}, [large], [(large.shape, "uint8")])
    time.sleep(0.1)
    assert [is_alive(int(pid)) for pid in marks.read_text().split()] == [False, False]


def test_one_that_does_not_even_read_is_stopped(request: pytest.FixtureRequest) -> None:
    worker = raw(request, "time.sleep(100)", request_timeout_s=0.5)
    with pytest.raises(UserError, match=r"did not answer within 0\.5 s"):
        worker.ask({}, [np.zeros(10_000_000, np.uint8)], SAME)


@pytest.mark.parametrize(
    ("ending", "what"),
    [
        ('say(b\'{"arrays": [{"shape": [2, 3], "dtype": "uint8"}]}\', b\'abc\')', "after 3 of 6 bytes"),
        ("print('Downloading weights ..', flush=True); time.sleep(9)", r"garbage: b'Download'"),
        ("say(b'not json'); time.sleep(9)", "garbage: b'not json'"),
        ("say(b'{\"arrays\": 3}'); time.sleep(9)", "garbage"),
        (
            'say(b\'{"arrays": [{"shape": [5, 3], "dtype": "uint8"}]}\'); time.sleep(9)',
            r"garbage: arrays \[\(\(5, 3\), 'uint8'\)\] instead of \[\(\(2, 3\), 'uint8'\)\]",
        ),
        (
            'say(b\'{"arrays": [{"shape": [2, 3], "dtype": "object"}]}\'); time.sleep(9)',
            "garbage: arrays .*object",
        ),
        ("say(b'{\"arrays\": []}'); time.sleep(9)", r"garbage: arrays \[\] instead"),
        ("import os; os.close(1); time.sleep(100)", r"crashed 1 times \(exit code -9\)"),
    ],
    ids=["short", "printed", "not-json", "no-list", "other-shape", "object", "none", "closed"],
)
def test_wrong_answers_are_named(request: pytest.FixtureRequest, ending: str, what: str) -> None:
    worker = raw(request, ending, max_restarts=0, request_timeout_s=6)
    with pytest.raises(UserError, match=what) as refused:
        worker.ask({}, [DATA], SAME)
    assert "\n" not in str(refused.value)


def test_what_cannot_start_is_named(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    missing = Worker(name="stub", command=[str(tmp_path / "python")])
    with pytest.raises(UserError, match=r"python cannot be started \(No such file or directory\)"):
        missing.ask({}, [], [])
    broken = scripted(tmp_path, request, '{"broken": true}')
    with pytest.raises(UserError, match=r"exit code 1 \(ImportError: No module named cv2\)"):
        broken.ask({}, [], [])
    slow = scripted(tmp_path, request, '{"loading_s": 30}', startup_timeout_s=1)
    with pytest.raises(UserError, match=r"did not answer within 1 s; its last line was: even this"):
        slow.ask({}, [], [])
    with pytest.raises(UserError, match="above 0 s"):
        Worker(name="stub", command=["python"], request_timeout_s=0)


def test_it_ends_with_its_owner(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    worker = scripted(tmp_path, request)
    pid = worker.ask({"do": "double"}, [DATA], SAME)[0]["pid"]
    assert is_alive(pid)
    worker._child = None
    assert not is_alive(pid)


@pytest.mark.slow
def test_it_ends_with_an_owner_who_is_killed_at_work(tmp_path: Path) -> None:
    (tmp_path / "handlers.py").write_text(HANDLERS)
    marks = tmp_path / "pids"
    command = [sys.executable, str(serve.__file__), str(tmp_path / "handlers.py"), f'{{"marks": "{marks}"}}']
    (tmp_path / "owner.py").write_text(
        "from pvchat.synthesis.generators.worker import Worker\n"
        f"Worker(name='stub', command={command!r}).ask({{'do': 'hang'}}, [], [])\n"
    )
    root = Path(__file__).parents[3]
    owner = subprocess.Popen([sys.executable, str(tmp_path / "owner.py")], cwd=root)
    until(lambda: marks.exists() and len(marks.read_text().split()) == 2, seconds=60)
    owner.kill()
    owner.wait()
    pid = int(marks.read_text().split()[0])
    until(lambda: not is_alive(pid), seconds=10)


def until(done: Callable[[], bool], *, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "never"
        time.sleep(0.05)


def test_our_packages_are_not_its_own(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither through PYTHONPATH nor from the folder of the protocol, which has a photomaker.py."""
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "intruder.py").write_text("")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "ours"))
    (tmp_path / "look.py").write_text(
        "import importlib.util\n"
        "def load(settings):\n"
        "    names = [n for n in ('intruder', 'photomaker') if importlib.util.find_spec(n)]\n"
        "    return lambda header, arrays: ({'found': names}, [])\n"
    )
    command = [sys.executable, str(serve.__file__), str(tmp_path / "look.py"), "{}"]
    worker = Worker(name="stub", command=command)
    request.addfinalizer(worker.close)
    assert worker.ask({}, [], [])[0]["found"] == []
