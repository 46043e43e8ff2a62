"""Two groups of tested runs against each other, question for question, with the subject as the unit."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pvchat.errors import UserError
from pvchat.reporting.table import Cell, TableStyle, render_table
from pvchat.scoring.estimates import by_clip
from pvchat.scoring.scored_runs import ScoredRun
from pvchat.statistics import Comparison, compare, holm, subject_means

COMPARED = {
    "written answers": "presence_balanced_accuracy",
    "calibrated": "calibrated_balanced_accuracy",
    "AUC": "presence_auc",
    "BLEU-1 of people on screen": "bleu1_present",
    "clothes named": "appearance_named",
    "action named": "action_named",
    "place named": "location_named",
    "when, IoU": "when_iou",
    "who does it": "who_named",
}
OF_CLIPS = {"written answers": "presence_accuracy"}  # a clip has one side, so nothing to balance
LEVEL = 0.05


@dataclass(frozen=True)
class Row:
    """One metric of both groups: means over subjects or clips, their difference, and its p after Holm's
    correction (None where there are too few to test)."""

    metric: str
    a: float
    b: float
    test: Comparison
    p_value: float | None

    @property
    def verdict(self) -> str:
        if self.p_value is None:
            return "too few to test"
        if self.p_value >= LEVEL:
            return "cannot be told apart"
        return "A is higher" if self.test.difference.mean > 0 else "B is higher"


@dataclass(frozen=True)
class GroupComparison:
    """``rows`` over ``unit`` ("subjects" or "clips"), and ``notes`` on what limits them."""

    unit: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...]


def compare_groups(a: Sequence[ScoredRun], b: Sequence[ScoredRun]) -> GroupComparison:
    """``a`` minus ``b``: seeds and runs of a subject are averaged, then subjects are compared in pairs. With
    one subject in common its clips are compared instead. Raises UserError where no subject is in both."""
    left, right = ({s for run in runs for s in run.subjects} for runs in (a, b))
    shared = sorted(left & right)
    if not shared:
        names = " and ".join(", ".join(sorted(side)) for side in (left, right))
        raise UserError(f"both groups need a subject in common: got {names}.")
    notes = [
        f"Only in one group, left out: {', '.join(sorted(left ^ right))}." if left ^ right else "",
        _different_questions(a, b, shared),
    ]
    if unit_is_clip := len(shared) == 1:
        notes.append("One subject: intervals are over the clips of its test and say nothing of other people.")
    unit, keys = ("clips", OF_CLIPS) if unit_is_clip else ("subjects", COMPARED)
    means = [_unit_means(runs, shared, keys.values(), of_clips=unit_is_clip) for runs in (a, b)]
    tests: dict[str, tuple[float, float, Comparison]] = {}
    for name, key in keys.items():
        common = [u for u in means[0][key] if u in means[1][key]]
        if len(common) > 1:
            one, other = ({u: m[key][u] for u in common} for m in means)
            mean = [sum(m.values()) / len(m) for m in (one, other)]
            tests[name] = mean[0], mean[1], compare(one, other)
    corrected = holm({n: t.p_value for n, (_, _, t) in tests.items() if t.p_value is not None})
    rows = tuple(Row(n, x, y, test, corrected.get(n)) for n, (x, y, test) in tests.items())
    if not rows:
        raise UserError(
            f"both groups need tests of two or more of the same {unit} with the same kind of questions: no "
            "metric is in both for two of them. Test both on one manifest."
        )
    return GroupComparison(unit, rows, tuple(n for n in notes if n))


def render_comparison(found: GroupComparison, *, style: TableStyle = "plain") -> str:
    """Table of ``found``; in Markdown only differences that hold are bold."""
    rows: list[list[Cell]] = []
    for row in found.rows:
        verdict = row.verdict
        if style == "markdown" and row.p_value is not None and row.p_value < LEVEL:
            verdict = f"**{verdict}**"
        many = row.test.difference.num_subjects
        rows.append([row.metric, many, row.a, row.b, row.test.difference, row.p_value, verdict])
    header = ["", found.unit, "A", "B", "A - B [95 %]", "p (Holm)", ""]
    return "\n\n".join([render_table(header, rows, style=style), *found.notes])


def _unit_means(
    runs: Sequence[ScoredRun], subjects: Sequence[str], keys: Iterable[str], *, of_clips: bool
) -> dict[str, dict[str, float]]:
    """Metric -> mean over runs of each subject, or of each clip."""
    found: dict[str, tuple[list[float], list[str]]] = {key: ([], []) for key in keys}
    for run in runs:
        for subject in subjects:
            asked = [p for p in run.about(subject) if p.control == "main"]
            parts = by_clip(asked) if of_clips else {subject: asked} if asked else {}
            for unit, predictions in parts.items():
                numbers = run.numbers(predictions)
                for key, (values, units) in found.items():
                    if (number := numbers.get(key)) is not None:
                        values.append(number)
                        units.append(unit)
    return {key: subject_means(values, units) for key, (values, units) in found.items()}


def _different_questions(a: Sequence[ScoredRun], b: Sequence[ScoredRun], shared: Sequence[str]) -> str:
    asked = [
        {(s, p.id, p.question) for run in runs for s in shared for p in run.about(s) if p.control == "main"}
        for runs in (a, b)
    ]
    if not (differ := len(asked[0] ^ asked[1])):
        return ""
    return (
        f"The groups were not asked the same: {differ} of {len(asked[0] | asked[1])} questions were put to "
        "one of them alone. Test both on one manifest for a fair comparison."
    )
