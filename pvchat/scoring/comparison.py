"""Two groups of tested runs against each other, question for question, with the subject as the unit."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pvchat.errors import UserError
from pvchat.evaluation import Prediction, summarise
from pvchat.reporting.table import Cell, TableStyle, render_table
from pvchat.runs import CONFIG, PREDICTIONS, read_record
from pvchat.scoring.answers import read_predictions
from pvchat.scoring.estimates import by_clip
from pvchat.statistics import Comparison, compare, holm, subject_means

COMPARED = {
    "written answers": "presence_balanced_accuracy",
    "calibrated": "calibrated_balanced_accuracy",
    "AUC": "presence_auc",
    "BLEU-1 of people on screen": "bleu1_present",
    "clothes named": "appearance_named",
    "action named": "action_named",
    "place named": "location_named",
}
OF_CLIPS = {"written answers": "presence_accuracy"}  # a clip has one side, so nothing to balance
LEVEL = 0.05


@dataclass(frozen=True)
class ScoredRun:
    """What a run folder says of its test."""

    path: Path
    subjects: tuple[str, ...]
    threshold: float
    predictions: tuple[Prediction, ...]

    def about(self, subject: str) -> list[Prediction]:
        """What was asked about ``subject``, under every control; with one subject also what names nobody."""
        if subject not in self.subjects:
            return []
        alone = len(self.subjects) == 1
        return [p for p in self.predictions if subject in p.subjects or (alone and not p.subjects)]


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


def scored_runs(path: str | Path) -> list[ScoredRun]:
    """The run of the folder ``path``, or all tested runs below it. Raises UserError if there are none, or one
    cannot be read."""
    root = Path(path)
    found = sorted(p.parent for p in root.rglob(PREDICTIONS))
    if not found:
        untested = sorted(p.parent for p in root.rglob(CONFIG))
        if untested:
            raise UserError(
                f"a comparison needs tested runs: {untested[0]} holds no {PREDICTIONS}. Run `pvchat test "
                f"--run {untested[0]}` first."
            )
        raise UserError(f"a comparison needs run folders: {root} holds none. Give one, such as runs/NAME.")
    return [_read(folder) for folder in found]


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
        raise UserError("both groups need tests with the same kind of questions: no metric is in both.")
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


def _read(folder: Path) -> ScoredRun:
    record = read_record(folder)
    if missing := {"subjects", "threshold"} - set(record):
        raise UserError(
            f"a tested run says its subjects and threshold: {folder} lacks {' and '.join(sorted(missing))}. "
            f"Run `pvchat test --run {folder}`."
        )
    predictions = tuple(read_predictions(folder / PREDICTIONS))
    return ScoredRun(folder, tuple(record["subjects"]), float(record["threshold"]), predictions)


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
                numbers = summarise(predictions, threshold=run.threshold)
                for key, (values, units) in found.items():
                    if (number := numbers.get(f"main/{key}")) is not None:
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
