"""Real people: is a person recognised in pictures that training never saw, among people it never saw?

    PVCHAT_MEDIA=... python -m benchmarks.identity --setting identity

    identity    nine people, photos from other occasions, three seeds
    laptop      the same with the real language model
    losses      the same without SPR, HAE or both
    pairs       two people learned together: asked for one while the other is on screen
    talking     eleven people, first third of a recording against its last third
    appearance  the same without the identity view: the harder setting, where attention types are compared

Each run learns a person from two pictures (redrawn with the seed) and calibrates its threshold on augmented
training pictures against people kept out of training and test. The subject is the unit; seeds are averaged
inside it.
"""

import argparse
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from benchmarks.grid import Cell, run_grid
from benchmarks.people import SUBJECTS, TALKING, build, photo_case, talking_case
from pvchat.faces import FaceAnalyzer
from pvchat.reporting.table import Cell as TableCell
from pvchat.reporting.table import render_table
from pvchat.runs import write_json
from pvchat.statistics import Comparison, bootstrap_interval, compare, holm, subject_means

ROOT = Path(__file__).parents[1]
EXPERIMENTS = ROOT / "experiments"
SETTINGS = ("identity", "laptop", "losses", "pairs", "talking", "appearance")
PAIRS = ("howard+leonard", "penny+raj", "sheldon+leonard", "obama+alex", "scarlett+yangmi")
RECORDED = {"talking": "talking", "appearance": "poor"}
ATTENTION = ("dense", "moh", "remoh")
METRICS = {
    "calibrated": "test/main/calibrated_balanced_accuracy",
    "uncalibrated": "test/main/score_balanced_accuracy",
    "answers": "test/main/presence_balanced_accuracy",
    "AUC": "test/main/presence_auc",
}
# who is who takes longer to learn, and without the presence loss often stays a guess in so few steps
TWO = (
    "--stages.video.epochs=5",
    "--model.learning_rates.router=3e-3",
    "--model.learning_rates.token_rows=3e-3",
    "--model.objective.init_args.presence=pvchat.losses.PresenceLoss",
)
CONTROLS = ("text_only", "face_blanked", "base_model", "no_subject_tokens", "other_subject")
Values = Mapping[str, Sequence[float]]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--setting", choices=SETTINGS, required=True)
    parser.add_argument("--subjects", nargs="+", help="some of them; default: all")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=1, help="runs at a time, one thread each")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "bench")
    options = parser.parse_args()
    photos = PAIRS if options.setting == "pairs" else SUBJECTS
    subjects = options.subjects or (TALKING if options.setting in RECORDED else photos)
    manifests = corpora(subjects, options.seeds, options.out / "corpora", options.setting)
    cells = _cells(options.setting, manifests)
    results = run_grid(cells, options.out / "runs", workers=options.workers)
    by_variant: dict[str, list[tuple[Cell, dict[str, float]]]] = {}
    for cell, numbers in results:
        by_variant.setdefault(cell.labels["variant"], []).append((cell, numbers))
    text = _report(options.setting, by_variant)
    print(text)
    (options.out / f"{options.setting}.md").write_text(text + "\n")
    write_json(
        options.out / f"{options.setting}.json",
        {"runs": [{"labels": dict(c.labels), "metrics": n} for c, n in results]},
    )


def corpora(subjects: Sequence[str], seeds: int, root: Path, setting: str) -> dict[tuple[str, int], Path]:
    kind = RECORDED.get(setting, "photo")
    case = photo_case if kind == "photo" else partial(talking_case, poor=kind == "poor")
    faces = FaceAnalyzer()
    manifests = {}
    for subject in subjects:
        for seed in range(seeds):
            folder = root / f"{kind}-{subject}-{seed}"
            manifest = folder / "manifest.jsonl"
            manifests[subject, seed] = (
                manifest
                if manifest.is_file()
                else build(case(tuple(subject.split("+")), seed), folder, faces=faces)
            )
    return manifests


def _cells(setting: str, manifests: Mapping[tuple[str, int], Path]) -> list[Cell]:
    bench = EXPERIMENTS / "bench"
    base = [EXPERIMENTS / "laptop.yaml", bench / ("laptop.yaml" if setting == "laptop" else "identity.yaml")]
    variants: dict[str, tuple[list[Path], list[str]]] = {}
    if setting in ("identity", "laptop", "talking"):
        variants["remoh"] = ([], [])
    elif setting == "pairs":
        variants["remoh"] = ([], [f"--model.controls=[main,{','.join(CONTROLS)}]", *TWO])
    elif setting == "appearance":
        appearance = bench / "appearance.yaml"
        for kind in ATTENTION:
            variants[kind] = ([appearance, EXPERIMENTS / "attention" / f"{kind}.yaml"], [])
    else:
        losses = "--model.objective.init_args"
        for name, off in {
            "SPR + HAE": [],
            "without HAE": ["head_activation"],
            "without SPR": ["smooth_proximity"],
            "without both": ["head_activation", "smooth_proximity"],
        }.items():
            variants[name] = ([], [f"{losses}.{part}=null" for part in off])
    return [
        Cell(
            {"variant": name, "subject": subject, "seed": str(seed)},
            (*base, *configs),
            (*overrides, f"--seed_everything={seed}"),
            manifest,
        )
        # all subjects of a seed first: a grid that is stopped early still has every subject
        for (subject, seed), manifest in sorted(manifests.items(), key=lambda item: item[0][1])
        for name, (configs, overrides) in variants.items()
    ]


def _report(setting: str, by_variant: Mapping[str, Sequence[tuple[Cell, dict[str, float]]]]) -> str:
    metrics = dict(METRICS)
    if setting != "appearance":
        metrics["active rate"] = "train/active_rate"
    if setting == "pairs":
        metrics["beside another"] = "test/main/presence_accuracy_no_beside_another"
        metrics["same, calibrated"] = "test/main/calibrated_accuracy_no_beside_another"
    rows: list[list[TableCell]] = []
    for variant, runs in by_variant.items():
        subjects = [c.labels["subject"] for c, _ in runs]
        means = [subject_means([n[key] for _, n in runs], subjects) for key in metrics.values()]
        rows.append([variant, *(bootstrap_interval(list(m.values())) for m in means)])
    parts = [render_table(["", *metrics], rows, style="markdown")]
    for variant, runs in by_variant.items():
        parts.append(_controls(runs, variant))
    if len(by_variant) > 1:
        parts.append(_differences(by_variant))
    seconds = [n["seconds/fit"] + n["seconds/test"] for runs in by_variant.values() for _, n in runs]
    count = sum(map(len, by_variant.values()))
    parts.append(f"{count} runs, {sum(seconds) / count:.0f} s a run on one thread.")
    return "\n\n".join(parts)


def _controls(runs: Sequence[tuple[Cell, dict[str, float]]], variant: str) -> str:
    rows: list[list[TableCell]] = []
    subjects = [c.labels["subject"] for c, _ in runs]
    for control in (c for c in CONTROLS if f"test/{c}/presence_auc" in runs[0][1]):
        row: list[TableCell] = [control]
        for metric in ("calibrated_balanced_accuracy", "score_balanced_accuracy", "presence_auc"):
            values = [n[f"test/{control}/{metric}"] for _, n in runs]
            row.append(bootstrap_interval(list(subject_means(values, subjects).values())))
        rows.append(row)
    return render_table(
        [f"control of {variant}", "calibrated", "uncalibrated", "AUC"], rows, style="markdown"
    )


def _differences(by_variant: Mapping[str, Sequence[tuple[Cell, dict[str, float]]]]) -> str:
    """Each variant against the first, on AUC and uncalibrated balanced accuracy, Holm over the table."""
    first, *others = by_variant
    tests: dict[tuple[str, str], Comparison] = {}
    for metric in ("AUC", "uncalibrated"):
        means = {
            v: subject_means([n[METRICS[metric]] for _, n in runs], [c.labels["subject"] for c, _ in runs])
            for v, runs in by_variant.items()
        }
        tests |= {(metric, v): compare(means[v], means[first]) for v in others}
    tested = {f"{m} {v}": t.p_value for (m, v), t in tests.items() if t.p_value is not None}
    corrected = holm(tested) if tested else {}
    rows: list[list[TableCell]] = [
        [f"{v} - {first}", m, t.difference, corrected.get(f"{m} {v}")] for (m, v), t in tests.items()
    ]
    return render_table(["difference", "of", "mean", "p (Holm)"], rows, style="markdown")


if __name__ == "__main__":
    main()
