"""Run folders and answers of other systems in one form."""

import json
from pathlib import Path
from typing import Any

import pytest
from written_runs import write_run

from pvchat.batch import Polarity
from pvchat.datamodules.manifest import QA, Record, write_manifest
from pvchat.errors import UserError
from pvchat.scoring.comparison import compare_groups
from pvchat.scoring.scored_runs import scored_runs


def _manifest(folder: Path, clips: int = 10) -> Path:
    """Half of the clips show tom, each is asked about once; what he wears is asked where he is."""
    records = []
    for n in range(clips):
        there = n >= clips // 2
        truth: Polarity = "yes" if there else "no"
        asked = [QA("Is <tom> here?", f"{truth.title()}.", "existence", truth, ("tom",))]
        if there:
            worn = f"A {'red' if n % 2 else 'blue'} shirt."
            asked.append(QA("What does <tom> wear?", worn, "appearance", None, ("tom",)))
        records.append(
            Record(
                id=f"c{n}",
                path=folder / f"c{n}.png",
                presence={"tom": there},
                source_id=f"p{n}",
                clothes="red shirt" if n % 2 else "blue shirt",
                origin="real",
                split="test",
                licence="not stated",
                consent="not stated",
                qa=tuple(asked),
            )
        )
    write_manifest(folder / "manifest.jsonl", records)
    return folder / "manifest.jsonl"


def _answers(path: Path, said: dict[str, str], scores: bool) -> Path:
    rows = [{"id": i, "answer": a} | ({"score": 1.0} if scores else {}) for i, a in said.items()]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_answers_of_two_systems_over_their_clips(tmp_path: Path) -> None:
    manifest = _manifest(tmp_path)
    right = {f"c{n}#0": "Yes." if n >= 5 else "No." for n in range(10)}
    always = dict.fromkeys(right, "Yes.")
    paths = [_answers(tmp_path / f"{n}.jsonl", said, False) for n, said in (("a", right), ("b", always))]
    found = compare_groups(*(scored_runs(p, manifest=manifest) for p in paths))
    (row,) = found.rows
    assert (row.metric, row.a, row.b, found.unit) == ("written answers", 1.0, 0.5, "clips")
    assert row.verdict == "cannot be told apart"  # 5 of 10 clips differ: p 2 / 2**5


def test_a_system_without_scores_or_threshold_has_no_numbers_of_them(tmp_path: Path) -> None:
    manifest = _manifest(tmp_path)
    said = {f"c{n}#0": "Yes." for n in range(10)} | {f"c{n}#1": "A red one." for n in range(5, 10)}
    (silent,) = scored_runs(_answers(tmp_path / "a.jsonl", said, False), manifest=manifest)
    (scored,) = scored_runs(_answers(tmp_path / "b.jsonl", said, True), manifest=manifest)
    without, having = (run.numbers(run.about("tom")) for run in (silent, scored))
    assert set(having) - set(without) >= {"presence_auc", "score_balanced_accuracy"}
    assert not any(name.startswith("calibrated") for name in having)
    assert without["presence_balanced_accuracy"] == 0.5
    assert having["appearance_named"] == pytest.approx(3 / 5)  # by the words of the manifest


def test_answers_need_their_questions(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Give it with --data"):
        scored_runs(_answers(tmp_path / "a.jsonl", {"c0#0": "Yes."}, False))


def test_folders_that_are_no_scored_runs(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"needs run folders: .* holds none"):
        scored_runs(tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text("")
    with pytest.raises(UserError, match=r"holds no predictions\.jsonl\. Run `pvchat test --run"):
        scored_runs(tmp_path)
    run = write_run(tmp_path / "a", "tom", 0)
    (run / "predictions.jsonl").write_text('{"id": 1}\n')
    with pytest.raises(UserError, match="line 1 is no prediction"):
        scored_runs(run)


def test_tests_inside_a_run_are_not_the_run(tmp_path: Path) -> None:
    """``pvchat evaluate --run RUN --data OTHER`` leaves one there."""
    run = write_run(tmp_path / "tom", "tom", 0)
    other = write_run(run / "evaluation-0123abcd", "tom", 5)
    assert [r.path for r in scored_runs(tmp_path)] == [run]
    assert [r.path for r in scored_runs(run)] == [run]
    assert [r.path for r in scored_runs(other)] == [other]


@pytest.mark.parametrize(
    "told",
    [
        {"threshold": None},
        {"threshold": "high"},
        {"threshold": float("nan")},
        {"subjects": "tom"},
        {"subjects": []},
        {"subjects": None},
        {"subjects": [1]},
    ],
    ids=str,
)
def test_a_record_that_says_no_subjects_or_threshold(tmp_path: Path, told: dict[str, Any]) -> None:
    run = write_run(tmp_path / "tom", "tom", 0)
    (run / "run.json").write_text(json.dumps({"subjects": ["tom"], "threshold": 0} | told))
    with pytest.raises(UserError, match=rf"run.json says {next(iter(told))}.*Run `pvchat test"):
        scored_runs(run)
