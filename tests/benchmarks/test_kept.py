"""Results that are part of the project: found by key, never written twice."""

import json
from pathlib import Path

from benchmarks.kept import Kept

METRICS = {
    "test/main/presence_auc": 0.123456789,
    "test/text_only/presence_auc": 0.5,
    "test/text_only/bleu4": 0.1,
    "validation/loss": 2.0,
    "seconds/fit": 12.0,
    "train/active_rate": float("nan"),  # of a dense model
}


def test_a_run_is_found_in_any_file_of_the_folder(tmp_path: Path) -> None:
    Kept("baselines", folder=tmp_path).add("k", {"seed": "0"}, METRICS)
    again = Kept("ablations", folder=tmp_path)
    assert again.get("k") == {
        "test/main/presence_auc": 0.123457,
        "test/text_only/presence_auc": 0.5,
        "seconds/fit": 12.0,
    }
    assert again.get("another") is None
    again.add("k", {}, METRICS)
    assert not (tmp_path / "ablations.jsonl").exists()


def test_a_line_names_what_ran_and_at_which_commit(tmp_path: Path) -> None:
    kept = Kept("baselines", folder=tmp_path)
    for key in ("a", "b"):
        kept.add(key, {"variant": key}, METRICS)
    lines = [json.loads(line) for line in (tmp_path / "baselines.jsonl").read_text().splitlines()]
    assert [line["labels"]["variant"] for line in lines] == ["a", "b"]
    assert all(line["commit"] for line in lines)
