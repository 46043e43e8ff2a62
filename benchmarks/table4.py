"""Table 4 in small: what does each kind of made clip add to one picture of a person?

    PVCHAT_MEDIA=... python -m benchmarks.table4 --setting photos

    photos    nine people, tested on photos from other occasions, three seeds
    clips     eleven people, one frame of the first third of a recording, tested on clips of its last third

The corpora are those of ``benchmarks.steps``. All are trained for as many steps, so that only the data
differ, and tested on the same real clips of the subject and of people never seen. The subject is the unit;
seeds are averaged inside it. A grid that was stopped goes on with the same command; ``--report`` prints what
is there. ``--blanked`` also trains on the scenes with every head painted over: what such a model knows of
new scenes, the corpus leaks.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from benchmarks.grid import Cell, is_finished, metrics_of, run_grid
from benchmarks.people import SUBJECTS, TALKING
from benchmarks.steps import STEPS, build, manifests_in, one_picture, steps_per_epoch, without_faces
from pvchat.evaluation import Prediction, summarise
from pvchat.faces import FaceAnalyzer
from pvchat.reporting.table import Cell as TableCell
from pvchat.reporting.table import render_table
from pvchat.runs import PREDICTIONS
from pvchat.scoring.answers import read_predictions
from pvchat.statistics import Comparison, bootstrap_interval, compare, holm, subject_means
from pvchat.synthesis.animation.animator import WarpAnimator

ROOT = Path(__file__).parents[1]
EXPERIMENTS = ROOT / "experiments"
CONFIGS = ("laptop.yaml", "bench/identity.yaml", "bench/table4.yaml")
IMAGE_STEPS, VIDEO_STEPS = 72, 72
BLANKED = "without faces"
PAPER = dict(zip(STEPS, (0.464, 0.584, 0.781, 0.901), strict=True))
METRIC = {
    "accuracy": "presence_accuracy",
    "answers": "presence_balanced_accuracy",
    "uncalibrated": "score_balanced_accuracy",
    "calibrated": "calibrated_balanced_accuracy",
    "AUC": "presence_auc",
}


@dataclass(frozen=True)
class Run:
    """A cell that is finished."""

    step: str
    subject: str
    seed: int
    predictions: list[Prediction]
    metrics: Mapping[str, float]

    def numbers(self, kind: str, *, right: bool = False) -> dict[str, float]:
        """``{control}/{metric}`` on test clips of ``kind``, real or scene; with ``right`` on those questions
        alone that the model answers rightly by its calibrated threshold when it sees everything."""
        threshold = self.metrics["test/threshold"]
        asked = [p for p in self.predictions if p.clip_id.startswith(f"test-{kind}-")]
        if right:
            main = (p for p in asked if p.control == "main")
            known = {p.id for p in main if (p.score > threshold) == (p.polarity == "yes")}
            asked = [p for p in asked if p.id in known]
        return summarise(asked, threshold=threshold)


def main() -> None:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--setting", choices=("photos", "clips"), default="photos")
    parser.add_argument("--subjects", nargs="+", help="some of them; default: all")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=1, help="runs at a time, one thread each")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "table4")
    parser.add_argument("--blanked", action="store_true", help="also train without faces")
    parser.add_argument("--report", action="store_true", help="train nothing, print what is finished")
    options = parser.parse_args()
    subjects = options.subjects or (SUBJECTS if options.setting == "photos" else TALKING)
    # all subjects of a seed first: a grid that is stopped early still has every subject
    pairs = [(subject, seed) for seed in range(options.seeds) for subject in subjects]
    if not options.report:
        faces = FaceAnalyzer()
        animator = WarpAnimator(faces=faces)
        for subject, seed in pairs:
            folder = _folder(options.out, options.setting, subject, seed)
            if not manifests_in(folder)[STEPS[-1]].is_file():  # which is written last
                build(one_picture(options.setting, subject, seed), folder, faces=faces, animator=animator)
            cells = _cells(folder, subject, seed)
            if options.blanked:
                if not _blanked_in(folder).is_file():
                    without_faces(manifests_in(folder)[STEPS[-1]], faces=faces)
                cells.append(_cell(BLANKED, _blanked_in(folder), subject, seed))
            run_grid(cells, options.out / "runs", workers=options.workers)
    runs = [
        run
        for subject, seed in pairs
        for run in _finished(_folder(options.out, options.setting, subject, seed), options.out, subject, seed)
    ]
    print(_report(runs) if runs else "no subject is finished.")


def _folder(out: Path, setting: str, subject: str, seed: int) -> Path:
    return out / "corpora" / f"{setting}-{subject}-{seed}"


def _blanked_in(folder: Path) -> Path:
    return folder / "without-faces" / "manifest.jsonl"


def _cells(folder: Path, subject: str, seed: int) -> list[Cell]:
    """The largest corpus first: it has the clips of the others, whose features are then cached."""
    manifests = reversed(manifests_in(folder).items())
    return [_cell(step, manifest, subject, seed) for step, manifest in manifests]


def _cell(variant: str, manifest: Path, subject: str, seed: int) -> Cell:
    each = steps_per_epoch(STEPS[1] if variant == BLANKED else variant)  # as many clips: one kind of both
    return Cell(
        {"variant": variant, "subject": subject, "seed": str(seed)},
        tuple(EXPERIMENTS / c for c in CONFIGS),
        (
            f"--stages.image.epochs={IMAGE_STEPS // each}",
            f"--stages.video.epochs={VIDEO_STEPS // each}",
            f"--seed_everything={seed}",
        ),
        manifest,
    )


def _finished(folder: Path, out: Path, subject: str, seed: int) -> list[Run]:
    """All steps of a subject and a seed, or none; without faces, if that is there."""
    if not manifests_in(folder)[STEPS[-1]].is_file():
        return []
    cells = _cells(folder, subject, seed)[::-1]
    root = out / "runs"
    if not all(is_finished(cell, root) for cell in cells):
        return []
    if _blanked_in(folder).is_file():
        cells.append(_cell(BLANKED, _blanked_in(folder), subject, seed))
    return [_read(cell, root) for cell in cells if is_finished(cell, root)]


def _read(cell: Cell, root: Path) -> Run:
    predictions = read_predictions(root / cell.key / PREDICTIONS)
    metrics = metrics_of(cell, root)
    return Run(cell.labels["variant"], cell.labels["subject"], int(cell.labels["seed"]), predictions, metrics)


def _report(runs: Sequence[Run]) -> str:
    parts = [_table(runs), _neighbours(runs), _shortcuts(runs)]
    runs = [r for r in runs if r.step in STEPS]
    seconds = [r.metrics["seconds/fit"] + r.metrics["seconds/test"] for r in runs]
    people, seeds = {r.subject for r in runs}, {r.seed for r in runs}
    parts.append(
        f"{len(runs)} runs ({len(people)} people, {len(seeds)} seeds), each {IMAGE_STEPS} steps on first "
        f"frames and {VIDEO_STEPS} on clips, {sum(seconds) / len(runs):.0f} s a run on one thread."
    )
    return "\n\n".join(parts)


def _means(runs: Sequence[Run], step: str, key: str, kind: str, *, right: bool = False) -> dict[str, float]:
    """Of each subject, over those of its seeds that have the number."""
    found = [(r.subject, r.numbers(kind, right=right).get(key)) for r in runs if r.step == step]
    known = [(s, v) for s, v in found if v is not None]
    return subject_means([v for _, v in known], [s for s, _ in known])


def _interval(values: Mapping[str, float]) -> TableCell:
    return bootstrap_interval(list(values.values())) if len(values) > 1 else next(iter(values.values()), None)


def _table(runs: Sequence[Run]) -> str:
    rows: list[list[TableCell]] = [
        [
            step,
            *(_interval(_means(runs, step, f"main/{key}", "real")) for key in METRIC.values()),
            f"{PAPER[step]:.3f}",
        ]
        for step in STEPS
    ]
    return render_table(["real photos and clips", *METRIC, "paper"], rows, style="markdown")


def _neighbours(runs: Sequence[Run]) -> str:
    """Each step against the one before, Holm over the table."""
    tests: dict[tuple[str, str, str], Comparison] = {}
    for metric in ("answers", "calibrated", "AUC"):
        means = {s: _means(runs, s, f"main/{METRIC[metric]}", "real") for s in STEPS}
        if len(means[STEPS[0]]) > 1:
            for before, after in pairwise(STEPS):
                tests[after, before, metric] = compare(means[after], means[before])
    tested = {" ".join(k): t.p_value for k, t in tests.items() if t.p_value is not None}
    corrected = holm(tested)
    rows: list[list[TableCell]] = [
        [f"{after} against {before}", metric, t.difference, corrected.get(f"{after} {before} {metric}")]
        for (after, before, metric), t in tests.items()
    ]
    return render_table(["step", "of", "mean difference", "p (Holm)"], rows, style="markdown")


def _shortcuts(runs: Sequence[Run]) -> str:
    """What is known without the face, on the questions that the full model gets right."""
    rows: list[list[TableCell]] = []
    for step in STEPS[1:]:
        for kind, name in (("real", "real"), ("scene", "new scenes")):
            full = _means(runs, step, "main/calibrated_balanced_accuracy", kind)
            without = [
                _means(runs, step, f"face_blanked/{metric}_balanced_accuracy", kind, right=True)
                for metric in ("calibrated", "score")
            ]
            rows.append([step, name, _interval(full), *map(_interval, without)])
    if any(r.step == BLANKED for r in runs):
        keys = (f"main/{METRIC[m]}" for m in ("calibrated", "uncalibrated"))
        values = [_means(runs, BLANKED, key, "scene") for key in keys]
        rows.append(["trained without faces", "new scenes", None, *map(_interval, values)])
    header = ["", "clips", "sees everything", "all but the face, calibrated", "uncalibrated"]
    return render_table(header, rows, style="markdown")


if __name__ == "__main__":
    main()
