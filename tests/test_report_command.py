"""``pvchat report`` as it is typed."""

from pathlib import Path

import pytest

from pvchat.cli import main


def test_a_page_beside_the_run(tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "pages" / "report.html"
    assert main(["report", str(tiny_run), "--out", str(out)]) == 0
    assert out.read_text().startswith("<!doctype html>")
    assert f"1 tested run: {out}" in capsys.readouterr().out


def test_a_folder_without_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(tmp_path)]) == 2
    assert "holds none" in capsys.readouterr().err
    assert not (tmp_path / "report.html").exists()
