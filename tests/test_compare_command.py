"""``pvchat compare`` as it is typed, on a run that a training left."""

import json
from pathlib import Path

import pytest

from pvchat.cli import main


def test_a_run_is_no_better_than_itself(
    tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", str(tiny_run), str(tiny_run), "--out", str(tmp_path / "out")]) == 0
    shown = capsys.readouterr().out
    assert "cannot be told apart" in shown or "too few to test" in shown
    assert f"A: {tiny_run} (1 run)" in shown
    kept = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert {row["test"]["difference"]["mean"] for row in kept["rows"]} == {0.0}
    assert "A - B [95 %] |" in (tmp_path / "out" / "comparison.md").read_text()


def test_no_runs_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(tmp_path), str(tmp_path)]) == 2
    assert "needs run folders" in capsys.readouterr().err
