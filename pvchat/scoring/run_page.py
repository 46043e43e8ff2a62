"""One page about a run or a group of runs: what a group meeting would ask for."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pvchat.evaluation import CONTROLS, summarise
from pvchat.metrics.functional.calibration import reliability_bins
from pvchat.reporting.curves import plot_curves, read_curves
from pvchat.reporting.page import drawing, heading, paragraph, png, render_page, table
from pvchat.reporting.reliability import plot_reliability
from pvchat.reporting.summary import MEANING
from pvchat.reporting.table import Cell
from pvchat.retention.retention_report import parts
from pvchat.retention.retention_report import read as read_retention
from pvchat.runs import HEAD_MAP, read_record
from pvchat.scoring.control_check import check_controls
from pvchat.scoring.mistakes import mistake_card, worst
from pvchat.scoring.scored_runs import ScoredRun
from pvchat.scoring.tested_clips import clips_of
from pvchat.statistics import bootstrap_interval, subject_means

SHOWN = {
    "written answers": "presence_balanced_accuracy",
    "calibrated": "calibrated_balanced_accuracy",
    "AUC": "presence_auc",
    "FPR at 95 % TPR": "presence_fpr95",
    "ECE": "presence_ece",
    "not parsed": "presence_unparsed",
}
OPEN = ("appearance", "action", "location")
Numbers = Sequence[tuple[str, Mapping[str, float]]]
"""Of each run: a subject, and the metrics of what was asked about them."""
CURVES, MOST_MISTAKES = "metrics.csv", 12


def render_runs(title: str, runs: Sequence[ScoredRun]) -> str:
    """HTML of ``runs``, all in one file."""
    return render_page(title, _parts(runs))


def _parts(runs: Sequence[ScoredRun]) -> Iterator[str]:
    numbers = [(s, summarise(run.about(s), threshold=run.cut)) for run in runs for s in run.subjects]
    subjects = sorted({s for run in runs for s in run.subjects})
    questions = sum(p.control == "main" for run in runs for p in run.predictions)
    many = "1 tested run" if len(runs) == 1 else f"{len(runs)} tested runs"
    yield paragraph(
        f"{many} about {', '.join(subjects)}; {questions} answers. "
        + (
            "Intervals: 95 %, bootstrap over subjects, seeds averaged inside."
            if len(subjects) > 1
            else "One subject: no interval over people can be given."
        ),
        kind="quiet",
    )
    yield from _presence(runs, numbers)
    yield from _open_questions(numbers)
    yield from _training(runs)
    yield from _heads(runs)
    yield from _reliability(runs)
    yield from _forgetting(runs)
    yield from _mistakes(runs)
    yield from _runs(runs)


def _presence(runs: Sequence[ScoredRun], numbers: Numbers) -> Iterator[str]:
    yield heading("Is the subject there?")
    rows: list[list[Cell]] = []
    for control in CONTROLS:
        cells = [_over_subjects(numbers, f"{control}/{key}") for key in SHOWN.values()]
        if any(cell is not None for cell in cells):
            rows.append([control, *cells, MEANING[control]])
    yield table(["", *SHOWN, ""], rows, digits=2)
    centred = [replace(p, score=p.score - run.cut) for run in runs for p in run.predictions]
    for check in check_controls(centred, threshold=0.0, scored=frozenset(CONTROLS)):
        yield paragraph(check.sentence, kind="warning" if check.verdict == "leaves chance" else "quiet")


def _open_questions(numbers: Numbers) -> Iterator[str]:
    rows: list[list[Cell]] = [
        [kind, *(_over_subjects(numbers, f"main/{kind}_{name}") for name in ("exact", "refused"))]
        for kind in (*OPEN, "general")
    ]
    rows = [row for row in rows if any(cell is not None for cell in row[1:])]
    if rows:
        yield heading("What does she wear, do, where is she?")
        yield table(["", "answered word for word", "refused when absent"], rows, digits=2)


def _training(runs: Sequence[ScoredRun]) -> Iterator[str]:
    curves = {_label(r): read_curves(r.path / CURVES) for r in runs if (r.path / CURVES).is_file()}
    if (figure := plot_curves(curves)) is not None:
        yield heading("Training")
        yield drawing(figure, alt="curves of loss, regularisers, lambda and active rate over steps")
        yield paragraph("Dotted: the video stage begins.", kind="quiet")


def _heads(runs: Sequence[ScoredRun]) -> Iterator[str]:
    shown = [r for r in runs if (r.path / f"{HEAD_MAP}.png").is_file()]
    if shown:
        yield heading("Which heads react to the subject?")
        if len(shown) > 1:
            yield paragraph(f"Of the first run, {_label(shown[0])}.", kind="quiet")
        yield png((shown[0].path / f"{HEAD_MAP}.png").read_bytes(), alt="activation of each head")


def _reliability(runs: Sequence[ScoredRun]) -> Iterator[str]:
    asked = [p for r in runs for p in r.predictions if p.control == "main" and p.polarity is not None]
    if asked:
        bins = reliability_bins([p.score for p in asked], [p.polarity == "yes" for p in asked])
        yield heading("Do its scores mean what they say?")
        yield drawing(plot_reliability(bins), alt="reliability diagram")


def _mistakes(runs: Sequence[ScoredRun]) -> Iterator[str]:
    yield heading("Worst mistakes")
    found = [(run, p) for run in runs for p in worst(run.predictions, threshold=run.cut)]
    found.sort(key=lambda pair: -abs(pair[1].score - pair[0].cut))
    if shown := found[:MOST_MISTAKES]:
        clips = {path: {r.id: r for r in clips_of(path)} for path in {run.path for run, _ in shown}}
        cards = (mistake_card(p, clips[run.path].get(p.clip_id)) for run, p in shown)
        yield f'<div class="grid">{"".join(cards)}</div>'
    else:
        yield paragraph("None: every question about presence is answered right.")


def _forgetting(runs: Sequence[ScoredRun]) -> Iterator[str]:
    """Of every run that was asked; see ``pvchat evaluate --forgetting``."""
    measured = {_label(run): found for run in runs if (found := read_retention(run.path))}
    if measured:
        yield heading("What else does it still answer?")
    for label, found in measured.items():
        yield from ([paragraph(f"Of {label}.")] if len(runs) > 1 else [])
        yield from parts(found)


def _runs(runs: Sequence[ScoredRun]) -> Iterator[str]:
    rows: list[list[Cell]] = []
    for run in runs:
        record = read_record(run.path)
        commit: Any = record
        for key in ("environment", "git", "commit"):
            commit = commit.get(key) if isinstance(commit, dict) else None
        seed, tested, at = record.get("seed"), record.get("tested", "-"), str(commit or "-")[:8]
        rows.append([_label(run), ", ".join(run.subjects), seed, tested, at])
    yield heading("Runs")
    yield table(["run", "subjects", "seed", "tested", "commit"], rows)


def _over_subjects(numbers: Numbers, key: str) -> Cell:
    """Mean over subjects with its interval; the bare number of one; None where nobody has it."""
    found = [(subject, values[key]) for subject, values in numbers if key in values]
    means = list(subject_means([v for _, v in found], [s for s, _ in found]).values()) if found else []
    return bootstrap_interval(means) if len(means) > 1 else next(iter(means), None)


def _label(run: ScoredRun) -> str:
    return "/".join(run.path.absolute().parts[-2:])
