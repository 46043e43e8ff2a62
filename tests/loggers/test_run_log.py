import csv
from pathlib import Path

import pytest

from pvchat.errors import UserError
from pvchat.loggers.run_log import RunLog


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_new_names_keep_what_was_logged(tmp_path: Path) -> None:
    log = RunLog(tmp_path)
    log.log_metrics({"train/loss": 3.0}, step=0)
    log.log_metrics({"test/main/presence_auc": 0.5}, step=1)
    kept = [(row["step"], row["train/loss"], row["test/main/presence_auc"]) for row in rows(tmp_path)]
    assert kept == [("0", "3.0", ""), ("1", "", "0.5")]
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.csv"]


def test_a_resumed_run_continues_from_its_step_and_drops_a_torn_line(tmp_path: Path) -> None:
    """A killed run had gone further than its checkpoint, and died while it wrote a line."""
    log = RunLog(tmp_path)
    for step in range(4):
        log.log_metrics({"train/loss": float(step), "train/spr": 0.0}, step=step)
    path = tmp_path / "metrics.csv"
    path.write_text(path.read_text() + "1,")
    RunLog(tmp_path).log_metrics({"train/loss": 9.0, "train/spr": 0.0}, step=2)
    assert [(row["step"], row["train/loss"]) for row in rows(tmp_path)] == [
        ("0", "0.0"),
        ("1", "1.0"),
        ("2", "9.0"),
    ]


def test_a_log_without_room_is_one_sentence(tmp_path: Path) -> None:
    log = RunLog(tmp_path)
    (tmp_path / "metrics.csv").mkdir()
    with pytest.raises(UserError, match=r"metrics\.csv cannot be written: "):
        log.log_metrics({"train/loss": 3.0}, step=0)
