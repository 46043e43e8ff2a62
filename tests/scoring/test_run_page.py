"""The page of a run that a training left, and of runs that are written here."""

import json
from pathlib import Path
from typing import Any

import pytest
from written_runs import write_run

from pvchat.scoring.run_page import render_runs
from pvchat.scoring.scored_runs import scored_runs


def test_everything_is_on_the_page_of_a_run(tiny_run: Path) -> None:
    page = render_runs("a run", scored_runs(tiny_run))
    for title in (
        "Is the subject there?",
        "Training",
        "Which heads react",
        "Do its scores",
        "Worst mistakes",
    ):
        assert title in page
    assert "One subject: no interval over people can be given." in page
    assert page.count("data:image/png") >= 3


def test_intervals_over_subjects_and_no_mistakes(tmp_path: Path) -> None:
    for name in ("tom", "ann", "eve"):
        write_run(tmp_path / name, name, 0)
    page = render_runs("three", scored_runs(tmp_path))
    assert '1.00 <span class="range">[1.00, 1.00]</span>' in page
    assert "None: every question about presence is answered right." in page


def test_a_leak_is_a_warning(tmp_path: Path) -> None:
    for name in ("tom", "ann"):
        run = write_run(tmp_path / name, name, 0)
        text = (run / "predictions.jsonl").read_text()
        (run / "predictions.jsonl").write_text(text + text.replace('"main"', '"face_blanked"'))
    page = render_runs("leak", scored_runs(tmp_path))
    assert '<p class="warning">WARNING: face_blanked leaves chance' in page
    assert "text_only was not asked" in page


@pytest.mark.parametrize("told", [{"environment": [1]}, {"environment": {"git": {"commit": None}}}], ids=str)
def test_a_record_without_a_commit(tmp_path: Path, told: dict[str, Any]) -> None:
    run = write_run(tmp_path / "tom", "tom", 0, clips=2)
    (run / "run.json").write_text(json.dumps({"subjects": ["tom"], "threshold": 0.0} | told))
    assert ">tom</td>" in render_runs("one", scored_runs(run))
