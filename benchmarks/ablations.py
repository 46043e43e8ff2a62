"""The paper's ablations in small: real people, the harder setting, one table at a time.

    PVCHAT_MEDIA=... python -m benchmarks.ablations --table attention

    attention   table 2: dense, MoH, ReMoH; figure 7: does a head tell clips with the person from others?
    losses      table 3: SPR and HAE on and off
    tokens      table S1: how many soft tokens
    persons     the first one, two or three of three people, who are all in the corpus

Nine people, photos from other occasions, no identity view (``benchmarks.baselines --setting hard``); several
persons with it, and with the steps and losses of ``benchmarks.identity --setting pairs``. A cell
that another table has trained is not trained again, and finished runs are part of the project
(``benchmarks.kept``). The subject is the unit, seeds are averaged inside it, each variant is tested against
that of the paper's choice, Holm over the table. ``--report`` trains nothing.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.baselines import METHODS, Method, cells_of, drawn, interval_of, means_of
from benchmarks.grid import Cell, finished, run_grid
from benchmarks.identity import METRICS, ROOT, TWO, corpora
from benchmarks.kept import Kept
from benchmarks.people import SUBJECTS, TV
from pvchat.reporting.table import Cell as TableCell
from pvchat.reporting.table import render_table
from pvchat.statistics import Comparison, compare, holm, subjects_needed

LEVEL = 0.05
REMOH = METHODS["remoh"]
OBJECTIVE = "--model.objective.init_args"
COLUMNS = {
    "AUC": METRICS["AUC"],
    "answers": METRICS["answers"],
    "active rate": "train/active_rate",
    "loss": "train/loss",
    "AUC of a head": "test/main/held_out_head_auc",
}


@dataclass(frozen=True)
class Table:
    """``variants`` by name, ``paper`` their accuracy there, ``chosen`` the paper's choice, ``tested`` the
    columns in which others are compared with it."""

    chosen: str
    variants: Mapping[str, Method]
    paper: Mapping[str, float] = field(default_factory=dict)
    setting: str = "hard"
    people: tuple[str, ...] = SUBJECTS
    tested: tuple[str, ...] = ("AUC",)


def _without(*losses: str) -> Method:
    return Method(REMOH.configs, tuple(f"{OBJECTIVE}.{name}=null" for name in losses), rate=REMOH.rate)


def _tokens(count: int) -> Method:
    """The bench has 4, so that this cell is that of the other tables."""
    change = () if count == 4 else (f"--model.chat.init_args.num_soft_tokens={count}",)
    return Method(REMOH.configs, change, rate=REMOH.rate)


def _threes(people: Sequence[str]) -> list[str]:
    """Each of ``people`` with the next two, so that everybody is once the first."""
    return ["+".join(people[(i + n) % len(people)] for n in range(3)) for i in range(len(people))]


TABLES = {
    "attention": Table(
        "remoh",
        {name: METHODS[name] for name in ("dense", "moh", "remoh")},
        {"dense": 0.733, "moh": 0.813, "remoh": 0.901},
        tested=("AUC", "AUC of a head"),  # do heads react to the person (figure 7)? Dense models route none
    ),
    "losses": Table(
        "SPR + HAE",
        {
            "SPR + HAE": REMOH,
            "without HAE": _without("head_activation"),
            "without SPR": _without("smooth_proximity"),
            "without both": _without("head_activation", "smooth_proximity"),
        },
        {"SPR + HAE": 0.901, "without HAE": 0.746},
    ),
    "tokens": Table(
        "16",
        {str(n): _tokens(n) for n in (0, 4, 8, 12, 16, 20)},
        {"0": 0.801, "4": 0.871, "8": 0.890, "12": 0.895, "16": 0.922, "20": 0.882},
    ),
    "persons": Table(
        "1",
        {str(n): Method(REMOH.configs, (*TWO, f"--data.source.num_subjects={n}")) for n in (1, 2, 3)},
        setting="easy",
        people=(*_threes(TV), *_threes(SUBJECTS[len(TV) :])),
    ),
}
Results = list[tuple[Cell, dict[str, float]]]


def main() -> None:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--table", choices=TABLES, required=True)
    parser.add_argument("--subjects", nargs="+", help="some of them; default: all")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=1, help="runs at a time, one thread each")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "bench")
    parser.add_argument("--report", action="store_true", help="train nothing, print what is finished")
    options = parser.parse_args()
    table = TABLES[options.table]
    people = options.subjects or table.people
    manifests = corpora(people, options.seeds, options.out / "corpora", "identity")
    cells = cells_of(table.setting, table.variants, manifests)
    kept = Kept("ablations")
    if options.report:
        results = finished(cells, options.out / "runs", kept)
    else:
        results = run_grid(cells, options.out / "runs", workers=options.workers, kept=kept)
    print(report(table, results) if results else "no run is finished.")


def report(table: Table, results: Results) -> str:
    """Means with intervals, then each variant against the paper's choice and what the paper says of it."""
    runs: dict[str, Results] = {name: [] for name in table.variants}
    for cell, numbers in results:
        runs[cell.labels["variant"]].append((cell, numbers))
    runs = {name: found for name, found in runs.items() if found}
    rows: list[list[TableCell]] = []
    for name, found in runs.items():
        means = (interval_of(means_of(found, key)) for key in COLUMNS.values())
        rows.append([name, table.paper.get(name), *means, len(found)])
    parts = [render_table(["", "paper, Acc", *COLUMNS, "runs"], rows, style="markdown")]
    if table.chosen in runs:
        parts.append(_tests(table, runs))
    return "\n\n".join(parts)


def _tests(table: Table, runs: Mapping[str, Results]) -> str:
    """Each variant against the paper's choice, on subjects and seeds that both have."""
    tests: dict[tuple[str, str], tuple[Comparison, int | None]] = {}
    for name in (n for n in runs if n != table.chosen):
        shared = {drawn(c) for c, _ in runs[name]} & {drawn(c) for c, _ in runs[table.chosen]}
        pair = [[r for r in runs[n] if drawn(r[0]) in shared] for n in (table.chosen, name)]
        for column in table.tested:
            a, b = (means_of(found, COLUMNS[column]) for found in pair)
            if len(a) > 1 and a.keys() == b.keys():
                tests[name, column] = compare(a, b), subjects_needed(a, b)
    p_values = {" ".join(key): t.p_value for key, (t, _) in tests.items() if t.p_value is not None}
    corrected = holm(p_values)
    rows: list[list[TableCell]] = []
    for (name, column), (test, needed) in tests.items():
        p = corrected.get(f"{name} {column}")
        said = verdict(table, name, test.difference.mean, p) if column == "AUC" else ""
        rows.append([f"{table.chosen} - {name}", column, test.difference, p, said, needed])
    header = ["difference", "of", "mean", "p (Holm)", "the paper's order", "people it would take"]
    return render_table(header, rows, style="markdown")


def verdict(table: Table, name: str, difference: float, p: float | None) -> str:
    """Of what the paper says about ``name`` against its choice."""
    if name not in table.paper or table.chosen not in table.paper:
        return "no number there"
    if p is None or p >= LEVEL:
        return "cannot be told"
    return "holds" if difference * (table.paper[table.chosen] - table.paper[name]) > 0 else "does not hold"


if __name__ == "__main__":
    main()
