"""Real people, every baseline and PVChat: the same pictures, the same loader, the same test.

    PVCHAT_MEDIA=... python -m benchmarks.baselines --setting easy

    easy    nine people, photos from other occasions, with the identity view
    hard    the same without the identity view, where a method can do without it
    tune    talking people, three rates for each method that trains: what the two above take

The corpora are those of ``benchmarks.identity``, and so are the steps: what trains, trains for as long. The
subject is the unit; seeds are averaged inside it. A grid that was stopped goes on with the same command;
``--report`` prints what is there. Face retrieval and the concept head always have that view.
"""

import argparse
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from benchmarks.grid import Cell, finished, run_grid
from benchmarks.identity import EXPERIMENTS, METRICS, ROOT, corpora
from benchmarks.kept import Kept
from benchmarks.people import SUBJECTS
from pvchat.reporting.table import Cell as TableCell
from pvchat.reporting.table import render_table
from pvchat.statistics import Comparison, bootstrap_interval, compare, holm, subject_means

SETTINGS = ("easy", "hard", "tune")
TUNED_ON = ("d0", "d3", "d9")
RATES = (0.3, 1.0, 3.0)
STEPS = ("--stages.image.epochs=1", "--stages.video.epochs=2")
CONTROLS = ("text_only", "face_blanked")
OWN = "remoh"
MIN_FOR_INTERVAL = 2


@dataclass(frozen=True)
class Method:
    """``configs`` come on top of those of the setting. ``rate`` multiplies the rates of laptop.yaml, None
    where nothing trains: of three, the one with the highest AUC on other people, then the highest calibrated
    accuracy (``--setting tune``). ``faces``: it cannot do without the identity view."""

    configs: tuple[str, ...]
    overrides: tuple[str, ...] = ()
    rate: float | None = None
    faces: bool = False


METHODS = {
    "majority answer": Method(("baselines/majority.yaml",)),
    "base model": Method(("baselines/base_model.yaml",)),
    "face retrieval": Method(("baselines/face_retrieval.yaml",), faces=True),
    "soft tokens": Method(("baselines/soft_tokens.yaml",), rate=3.0),
    "concept head": Method(("baselines/concept_head.yaml",), rate=3.0, faces=True),
    "described": Method(("baselines/described.yaml", "bench/descriptions.yaml"), STEPS, rate=1.0),
    "reference shown": Method(("baselines/reference_in_context.yaml",), STEPS, rate=1.0),
    "dense": Method(("attention/dense.yaml",), rate=3.0),
    "moh": Method(("attention/moh.yaml",), rate=1.0),
    "remoh": Method(("attention/remoh.yaml",), rate=1.0),
}
GROUPS = ("token_rows", "qformer", "router", "lora", "encoder_late")
Runs = Mapping[str, Sequence[tuple[Cell, dict[str, float]]]]


def main() -> None:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--setting", choices=SETTINGS, required=True)
    parser.add_argument("--methods", nargs="+", choices=METHODS, help="some of them; default: all")
    parser.add_argument("--subjects", nargs="+", help="some of them; default: all")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=1, help="runs at a time, one thread each")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "bench")
    parser.add_argument("--report", action="store_true", help="train nothing, print what is finished")
    options = parser.parse_args()
    tune = options.setting == "tune"
    subjects = options.subjects or (TUNED_ON if tune else SUBJECTS)
    setting = "talking" if tune else "identity"
    manifests = corpora(subjects, 1 if tune else options.seeds, options.out / "corpora", setting)
    methods = {name: METHODS[name] for name in options.methods or METHODS}
    cells = cells_of(options.setting, methods, manifests)
    root = options.out / "runs"
    kept = Kept("baselines")
    if options.report:
        results = finished(cells, root, kept)
    else:
        results = run_grid(cells, root, workers=options.workers, kept=kept)
    runs: dict[str, list[tuple[Cell, dict[str, float]]]] = {}
    for cell, numbers in results:
        runs.setdefault(cell.labels["variant"], []).append((cell, numbers))
    print(_report(runs, paired=not tune) if runs else "no run is finished.")


def cells_of(
    setting: str, methods: Mapping[str, Method], manifests: Mapping[tuple[str, int], Path]
) -> list[Cell]:
    """All methods and subjects of a seed first: a grid that is stopped early still has every subject."""
    cells = []
    for (subject, seed), manifest in sorted(manifests.items(), key=lambda item: item[0][1]):
        for name, method in methods.items():
            rates = [method.rate]
            if setting == "tune":
                rates = [] if method.rate is None else list(RATES)
            for rate in rates:
                label = f"{name} x {rate:g}" if setting == "tune" else name
                labels = {"variant": label, "subject": subject, "seed": str(seed)}
                configs = _configs(method, hard=setting == "hard")
                overrides = (*method.overrides, *_rates(rate), f"--seed_everything={seed}")
                cells.append(Cell(labels, configs, overrides, manifest))
    return cells


def _configs(method: Method, *, hard: bool) -> tuple[Path, ...]:
    harder = ("bench/appearance.yaml",) if hard and not method.faces else ()
    names = ("laptop.yaml", "bench/identity.yaml", *harder, *method.configs)
    return tuple(EXPERIMENTS / name for name in names)


def _rates(factor: float | None) -> tuple[str, ...]:
    """The rates of laptop.yaml times ``factor``; nothing where they stay."""
    if factor in (None, 1.0):
        return ()
    laptop = {"token_rows": 1e-3, "qformer": 1e-3, "router": 1e-2, "lora": 1e-3, "encoder_late": 1e-4}
    return tuple(f"--model.learning_rates.{group}={laptop[group] * factor:g}" for group in GROUPS)


def _report(runs: Runs, *, paired: bool) -> str:
    rows: list[list[TableCell]] = []
    for name, found in runs.items():
        # runs kept from a machine that is not that of the tables have none
        seconds = [n["seconds/fit"] + n["seconds/test"] for _, n in found if "seconds/fit" in n]
        means = [interval_of(means_of(found, key)) for key in METRICS.values()]
        controls = [interval_of(means_of(found, f"test/{c}/presence_auc")) for c in CONTROLS]
        rows.append([name, *means, *controls, f"{fmean(seconds):.0f}" if seconds else None])
    header = ["", *METRICS, *(f"{c}, AUC" for c in CONTROLS), "s a run"]
    parts = [render_table(header, rows, style="markdown")]
    if paired and OWN in runs and len(runs) > 1:
        parts.append(_differences(runs))
    everything = [cell for found in runs.values() for cell, _ in found]
    people, seeds = ({c.labels[k] for c in everything} for k in ("subject", "seed"))
    parts.append(f"{len(everything)} runs ({len(people)} people, {len(seeds)} seeds), one thread each.")
    return "\n\n".join(parts)


def _differences(runs: Runs) -> str:
    """AUC of PVChat against each other method's, on the same subjects and seeds; Holm over the table. With
    more metrics nine people could show nothing: 18 tests at the least p of 2 / 2**9 are .07."""
    tests: dict[str, Comparison] = {}
    for name in (n for n in runs if n != OWN):
        shared = {drawn(c) for c, _ in runs[name]} & {drawn(c) for c, _ in runs[OWN]}
        if len({subject for subject, _ in shared}) < MIN_FOR_INTERVAL:
            continue
        both = [[r for r in runs[n] if drawn(r[0]) in shared] for n in (OWN, name)]
        tests[name] = compare(*(means_of(found, METRICS["AUC"]) for found in both))
    if not tests:
        return "One person: no interval over people, no test."
    corrected = holm({n: t.p_value for n, t in tests.items() if t.p_value is not None})
    rows: list[list[TableCell]] = [[f"{OWN} - {n}", t.difference, corrected.get(n)] for n, t in tests.items()]
    return render_table(["difference of AUC", "mean", "p (Holm)"], rows, style="markdown")


def drawn(cell: Cell) -> tuple[str, str]:
    return cell.labels["subject"], cell.labels["seed"]


def means_of(found: Sequence[tuple[Cell, dict[str, float]]], key: str) -> dict[str, float]:
    known = [(c.labels["subject"], n[key]) for c, n in found if math.isfinite(n.get(key, math.nan))]
    return subject_means([v for _, v in known], [s for s, _ in known])


def interval_of(values: Mapping[str, float]) -> TableCell:
    if len(values) < MIN_FOR_INTERVAL:
        return next(iter(values.values()), None)
    return bootstrap_interval(list(values.values()))


if __name__ == "__main__":
    main()
