"""Run folders: never shared, never half-written, found again."""

import json
import os
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pvchat import runs
from pvchat.errors import UserError
from pvchat.runs import (
    experiment_file,
    find_run,
    new_run,
    remove_if_empty,
    write_json,
    write_jsonl,
    write_text,
)


@pytest.fixture
def noon(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the same second for ever."""

    class Clock:
        @staticmethod
        def now(zone: Any) -> datetime:
            return datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)

    monkeypatch.setattr(runs, "datetime", Clock)


@pytest.mark.usefixtures("noon")
def test_runs_of_the_same_second_get_folders_of_their_own(tmp_path: Path) -> None:
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(new_run(tmp_path, "x"))) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 12
    assert all(path.is_dir() for path in found)
    assert {path.parent for path in found} == {tmp_path / "x"}


@pytest.mark.usefixtures("noon")
def test_the_newest_run_of_a_name_is_found(tmp_path: Path) -> None:
    """In the order they were made, also past the ninth of a second; unfinished starts do not count."""
    made = [new_run(tmp_path, "x") for _ in range(12)]
    with pytest.raises(
        UserError, match=r"a run folder holds config.yaml: .*x does not. Give one, such as runs/NAME/ID."
    ):
        find_run(tmp_path / "x")
    for path in made[:11]:
        (path / "config.yaml").write_text("name: x\n")
    assert find_run(tmp_path / "x") == made[10]
    assert find_run(made[3]) == made[3]


@pytest.mark.usefixtures("noon")
def test_runs_that_can_be_used_come_first(tmp_path: Path) -> None:
    used, killed, refused = (new_run(tmp_path, "x") for _ in range(3))
    for run in (used, killed, refused):
        (run / "config.yaml").write_text("name: x\n")
    for file in (used / "adapter" / "adapter.json", killed / "checkpoints" / "last.ckpt"):
        file.parent.mkdir()
        file.touch()
    assert find_run(tmp_path / "x") == used
    assert find_run(tmp_path / "x", holding="checkpoints/last.ckpt") == killed
    assert find_run(tmp_path / "x", holding="metrics.json") == refused


@pytest.mark.parametrize("name", ["", " ", ".", "..", "../x", "a/b", "a\\b", "\0"])
def test_a_name_is_one_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="name must be the name of one folder, such as laptop: got "):
        new_run(tmp_path / "runs", name)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_room_is_found_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    with pytest.raises(UserError, match=r"x/\S+ cannot be written: No space left on device"):
        new_run(tmp_path, "x")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_none_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a run folder holds config.yaml: .*nowhere does not"):
        find_run(tmp_path / "nowhere")


def test_a_start_that_failed_leaves_nothing(tmp_path: Path) -> None:
    empty, used = new_run(tmp_path / "runs", "x"), new_run(tmp_path / "runs", "y")
    (used / "config.yaml").write_text("name: y\n")
    remove_if_empty(empty)
    remove_if_empty(used)
    assert [p.name for p in (tmp_path / "runs").iterdir()] == ["y"]
    assert (used / "config.yaml").is_file()
    remove_if_empty(empty)  # gone already: no matter


def test_files_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    write_json(path, {"a": 1.0})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert json.loads(path.read_text()) == {"a": 1.0}

    def rows() -> Any:
        yield {"id": "ä"}
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_jsonl(tmp_path / "predictions.jsonl", rows())
    assert [p.name for p in tmp_path.iterdir()] == ["metrics.json"]
    write_jsonl(tmp_path / "predictions.jsonl", [{"id": "ä"}, {"id": "b"}])
    assert (tmp_path / "predictions.jsonl").read_text(encoding="utf-8") == '{"id": "ä"}\n{"id": "b"}\n'


@pytest.mark.skipif(sys.platform == "win32", reason="no devices in the file system")
def test_what_is_no_file_is_written_to(tmp_path: Path) -> None:
    """Root may rename over /dev/null."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_text(pipe, "a")
    assert pipe.is_fifo()
    assert os.read(reader, 9) == b"a"
    os.close(reader)


def test_experiments_come_with_a_checkout() -> None:
    assert experiment_file("laptop.yaml").is_file()
    with pytest.raises(UserError, match=r"experiments/none.yaml comes with a checkout of pvchat"):
        experiment_file("none.yaml")
