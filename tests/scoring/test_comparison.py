"""Two groups of runs whose answers are written here: means, p-values and notes by hand."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from written_runs import write_run

from pvchat.errors import UserError
from pvchat.scoring.comparison import GroupComparison, compare_groups, render_comparison
from pvchat.scoring.scored_runs import scored_runs

NAMES = tuple(f"s{n}" for n in range(8))


def groups(root: Path, a_wrong: Sequence[int], b_wrong: Sequence[int]) -> GroupComparison:
    for group, wrongs in (("a", a_wrong), ("b", b_wrong)):
        for name, wrong in zip(NAMES, wrongs, strict=False):
            write_run(root / group / name, name, wrong)
    return compare_groups(scored_runs(root / "a"), scored_runs(root / "b"))


def test_eight_subjects_by_hand(tmp_path: Path) -> None:
    """Each wrong answer is about an absent person and costs a tenth of the balanced accuracy. All eight
    differences are positive: p 2/256, times three metrics."""
    found = groups(tmp_path, [0] * 8, [1, 2, 1, 2, 1, 2, 1, 2])
    assert found.unit == "subjects"
    assert found.notes == ()
    answers = found.rows[0]
    assert (answers.metric, answers.a, answers.b) == ("written answers", 1.0, pytest.approx(0.85))
    assert answers.test.difference.mean == pytest.approx(0.15)
    assert answers.p_value == pytest.approx(3 * 2 / 256)
    assert answers.verdict == "A is higher"
    assert {row.metric for row in found.rows} == {"written answers", "calibrated", "AUC"}


def test_noise_is_not_bold(tmp_path: Path) -> None:
    found = groups(tmp_path, [0, 1, 0, 1, 0, 1, 0, 2], [1, 0, 1, 0, 1, 0, 1, 0])
    assert {row.verdict for row in found.rows} == {"cannot be told apart"}
    assert "**" not in render_comparison(found, style="markdown")


def test_what_holds_is_bold(tmp_path: Path) -> None:
    found = groups(tmp_path, [2] * 8, [0] * 8)
    assert render_comparison(found, style="markdown").count("**B is higher**") == 3


def test_seeds_are_averaged_inside_the_subject(tmp_path: Path) -> None:
    for group in "ab":
        for name in NAMES:
            write_run(tmp_path / group / f"{name}-0", name, 0)
    for seed in range(1, 4):  # more runs of one subject give no more subjects
        write_run(tmp_path / "b" / f"s0-{seed}", "s0", 4)
    row = compare_groups(scored_runs(tmp_path / "a"), scored_runs(tmp_path / "b")).rows[0]
    assert row.test.difference.num_subjects == 8
    assert row.b == pytest.approx((7 + (1.0 + 3 * 0.6) / 4) / 8)


def test_few_subjects_are_not_tested(tmp_path: Path) -> None:
    found = groups(tmp_path, [0] * 3, [1] * 3)
    assert {row.p_value for row in found.rows} == {None}
    assert {row.verdict for row in found.rows} == {"too few to test"}


def test_one_subject_is_compared_over_its_clips(tmp_path: Path) -> None:
    found = groups(tmp_path, [0], [5])
    assert found.unit == "clips"
    (row,) = found.rows
    assert (row.a, row.b, row.test.difference.num_subjects) == (1.0, 0.5, 10)
    assert row.p_value == pytest.approx(2 * 2**5 / 2**10)  # five differences of 1, five of 0
    assert "say nothing of other people" in found.notes[0]


def test_other_questions_and_other_people_are_said(tmp_path: Path) -> None:
    for group, clips in (("a", 10), ("b", 12)):
        for name in NAMES[:2]:
            write_run(tmp_path / group / name, name, 1, clips=clips)
    write_run(tmp_path / "b" / "extra", "s7", 0)
    found = compare_groups(scored_runs(tmp_path / "a"), scored_runs(tmp_path / "b"))
    assert found.notes[0] == "Only in one group, left out: s7."
    assert "not asked the same: 4 of 24 questions" in found.notes[1]


def test_nobody_in_common(tmp_path: Path) -> None:
    write_run(tmp_path / "a", "tom", 0)
    write_run(tmp_path / "b", "ann", 0)
    with pytest.raises(UserError, match="a subject in common: got tom and ann"):
        compare_groups(scored_runs(tmp_path / "a"), scored_runs(tmp_path / "b"))


def test_two_subjects_of_one_run_are_two_units(tmp_path: Path) -> None:
    for group in "ab":
        both = [write_run(tmp_path / f"{group}-{n}", n, 0, names=("tom", "ann")) for n in ("tom", "ann")]
        joined = "".join((run / "predictions.jsonl").read_text() for run in both)
        run = write_run(tmp_path / group, "eve", 0, names=("tom", "ann"))
        (run / "predictions.jsonl").write_text(joined)
    row = compare_groups(scored_runs(tmp_path / "a"), scored_runs(tmp_path / "b")).rows[0]
    assert row.test.difference.num_subjects == 2


def test_one_clip_is_too_few(tmp_path: Path) -> None:
    runs = scored_runs(write_run(tmp_path / "run", "tom", 0, clips=1))
    with pytest.raises(UserError, match="tests of two or more of the same clips with the same kind of quest"):
        compare_groups(runs, runs)
