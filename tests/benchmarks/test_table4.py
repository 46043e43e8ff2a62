"""Table 4 in small is read off finished runs; here they are made up, with known answers."""

import json
from pathlib import Path

import pytest

from benchmarks.steps import MINE, OTHERS, STEPS, manifests_in, steps_per_epoch
from benchmarks.table4 import BLANKED, IMAGE_STEPS, VIDEO_STEPS, Run, _cells, _finished, _report
from pvchat.batch import Example
from pvchat.datamodules.sampling import epoch_order
from pvchat.evaluation import ControlName, Prediction

PEOPLE = ("ann", "bob", "cid", "dee", "eve", "fay", "gus", "hal")


def _asked(clip: str, polarity: str, score: float, control: ControlName = "main") -> Prediction:
    present = polarity == "yes"
    answer = "Yes, <tom> is in this video." if score > 0 else "No, <tom> is not in this video."
    asked = f"{clip}#0", clip, control, "existence", "real", ("tom",), polarity, {"tom": present}
    return Prediction(*asked, "Is <tom> in this video?", "", answer, score)


def _run(step: str, subject: str, right: int) -> Run:
    """``right`` of four strangers are told from the subject; blanked, every answer is no."""
    scores = [-1.0] * right + [1.0] * (4 - right)
    predictions = [_asked("test-real-me", "yes", 1.0), _asked("test-scene-me", "yes", -1.0)]
    predictions += [_asked(f"test-real-{n}", "no", score) for n, score in enumerate(scores)]
    predictions += [
        _asked(p.clip_id, p.polarity or "", -1.0, "face_blanked") for p in predictions if p.polarity
    ]
    metrics = {"test/threshold": 0.0, "seconds/fit": 1.0, "seconds/test": 1.0}
    return Run(step, subject, 0, predictions, metrics)


def test_all_corpora_are_trained_for_as_many_steps() -> None:
    for step in STEPS:
        added = STEPS.index(step)
        clips = [(f"me {n}", "yes") for n in range(MINE * max(1, added))]
        clips += [(f"other {n}", "no") for n in range(MINE * OTHERS * added)]
        examples = [
            Example(f"{c}#{q}", c, "?", "", "existence", p, ("tom",), {"tom": p == "yes"}, "real")  # type: ignore[arg-type]
            for c, p in clips
            for q in range(6)
        ]
        asked = epoch_order(examples, types=["existence"], seed=0, epoch=0, questions_per_clip=1)
        assert len(asked) == 4 * steps_per_epoch(step)
        assert IMAGE_STEPS % steps_per_epoch(step) == VIDEO_STEPS % steps_per_epoch(step) == 0


def test_numbers_are_those_of_a_kind_of_clips() -> None:
    run = _run(STEPS[1], "ann", right=3)
    assert run.numbers("real")["main/presence_balanced_accuracy"] == pytest.approx((1 + 3 / 4) / 2)
    assert run.numbers("real")["main/presence_accuracy"] == pytest.approx(4 / 5)
    assert run.numbers("scene")["main/presence_accuracy"] == 0


def test_shortcuts_are_counted_on_what_the_full_model_knows() -> None:
    numbers = _run(STEPS[1], "ann", right=3).numbers("real", right=True)
    assert numbers["main/calibrated_balanced_accuracy"] == 1
    assert numbers["face_blanked/existence_questions"] == 4
    assert numbers["face_blanked/calibrated_balanced_accuracy"] == 0.5


def test_report_has_the_steps_in_order_and_tests_neighbours() -> None:
    runs = [_run(step, who, right=n) for n, step in enumerate(STEPS) for who in PEOPLE]
    lines = _report(runs).splitlines()
    rows = [line for line in lines if line.startswith(tuple(f"| {step} " for step in STEPS))]
    assert [float(row.split("|")[2].split()[0]) for row in rows[:4]] == [0.2, 0.4, 0.6, 0.8]
    (last,) = (line for line in lines if "+ motions against + scenes" in line and "answers" in line)
    # 2 / 2**8, of nine tests those of the accuracies are six equal ones, and those of AUC three
    assert float(last.split("|")[-2]) == pytest.approx(9 * 2 / 2**8, abs=5e-4)


def test_a_subject_counts_once_all_steps_are_there(tmp_path: Path) -> None:
    folder = tmp_path / "corpora" / "photos-ann-0"
    assert _finished(folder, tmp_path, "ann", 0) == []
    for manifest in manifests_in(folder).values():
        manifest.parent.mkdir(parents=True)
        manifest.write_text(_LINE)
    (folder / "clip.png").write_bytes(b"")
    for cell in _cells(folder, "ann", 0):
        assert _finished(folder, tmp_path, "ann", 0) == []
        run = tmp_path / "runs" / cell.key
        run.mkdir(parents=True, exist_ok=True)
        (run / "metrics.json").write_text('{"test/threshold": 0.0}')
        said = json.dumps(_asked("test-real-me", "yes", 1.0).as_json())
        (run / "predictions.jsonl").write_text(said)
        (run / "labels.json").write_text("{}")
    assert [run.step for run in _finished(folder, tmp_path, "ann", 0)] == list(STEPS)


def test_who_learns_without_faces_is_shown_beside() -> None:
    runs = [_run(step, who, right=2) for step in (*STEPS, BLANKED) for who in PEOPLE]
    for run in runs:
        run.predictions.append(_asked("test-scene-you", "no", 1.0 if run.step == BLANKED else -1.0))
    report = _report(runs)
    (row,) = (line for line in report.splitlines() if "trained without faces" in line)
    assert float(row.split("|")[4].split()[0]) == 0
    assert "32 runs (8 people, 1 seeds)" in report


_LINE = json.dumps(
    {
        "schema_version": 1,
        "id": "one",
        "path": "../clip.png",
        "presence": {"ann": True},
        "source_id": "photo",
        "origin": "real",
        "split": "train",
        "licence": "not stated",
        "consent": "not stated",
        "qa": [],
    }
)
