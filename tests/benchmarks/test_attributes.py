"""The table of the attribute benchmark, from the predictions of runs."""

import json
from pathlib import Path

import pytest

from benchmarks.attributes import numbers, report
from pvchat.datamodules.manifest import Record, write_manifest


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    records = [
        Record(
            id=colour,
            path=tmp_path / f"{colour}.mp4",
            presence={"tom": True},
            source_id=colour,
            clothes=f"{colour} shirt",
            origin="warp",
            split="train",
            licence="not stated",
            consent="not stated",
        )
        for colour in ("red", "blue")
    ]
    for record in records:
        record.path.touch()
    write_manifest(tmp_path / "manifest.jsonl", records)
    return tmp_path / "manifest.jsonl"


def run(folder: Path, manifest: Path, answers: dict[str, str]) -> dict[str, float]:
    """Numbers of a run in which ``answers`` are given to two clips that show red, one of each test."""
    rows = [
        {
            "id": f"{test}-0#0",
            "clip_id": f"{test}-0",
            "control": control,
            "type": "appearance",
            "origin": "warp",
            "subjects": ["tom"],
            "polarity": None,
            "presence": {"tom": True},
            "question": "What is <tom> wearing?",
            "reference": "<tom> is wearing a red shirt.",
            "answer": answer if control == "main" else "Blue.",
            "score": 0.0,
        }
        for test, answer in answers.items()
        for control in ("main", "text_only")
    ]
    folder.mkdir()
    file = folder / "predictions.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return numbers(file, manifest)


def test_tests_are_apart_and_chance_stands_beside(tmp_path: Path, manifest: Path) -> None:
    first = run(tmp_path / "0", manifest, {"combinations": "Red.", "new": "Blue."})
    second = run(tmp_path / "1", manifest, {"combinations": "A coat.", "new": "Blue."})
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in report([first, second]).splitlines()]
    right, wrong = "0.50 (0.00 to 1.00)", "0.00 (0.00 to 0.00)"
    assert rows[2:] == [
        ["unseen combinations", "colour", "1", right, "1.00", "0.50", wrong],
        ["unseen places and colours", "colour", "1", wrong, "1.00", "0.50", wrong],
    ]
