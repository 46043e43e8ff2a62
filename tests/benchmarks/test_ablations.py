"""Cells that tables share, and what is said of the paper's order; runs are made up."""

from pathlib import Path

import pytest

from benchmarks.ablations import COLUMNS, TABLES, Results, report, verdict
from benchmarks.baselines import METHODS, cells_of
from benchmarks.grid import Cell
from benchmarks.people import SUBJECTS, TV

MANIFESTS = {(who, seed): Path(f"{who}-{seed}") for who in SUBJECTS for seed in (0, 1)}


def _runs(auc: dict[str, float]) -> Results:
    rows = []
    for name, value in auc.items():
        for n, who in enumerate(SUBJECTS):
            numbers = dict.fromkeys(COLUMNS.values(), 0.5) | {COLUMNS["AUC"]: value + n / 1000}
            cell = Cell({"variant": name, "subject": who, "seed": "0"}, (), (), Path())
            rows.append((cell, numbers))
    return rows


def test_tables_share_the_cell_of_the_whole_model() -> None:
    hard = cells_of("hard", METHODS, MANIFESTS)
    whole = [(c.configs, c.overrides) for c in hard if c.labels["variant"] == "remoh"]
    for table, variant in (("attention", "remoh"), ("losses", "SPR + HAE"), ("tokens", "4")):
        cells = cells_of("hard", TABLES[table].variants, MANIFESTS)
        assert [(c.configs, c.overrides) for c in cells if c.labels["variant"] == variant] == whole
        assert len({(c.configs, c.overrides, c.manifest) for c in cells}) == len(cells)


def test_everybody_is_once_the_first_of_three_of_a_kind() -> None:
    threes = [name.split("+") for name in TABLES["persons"].people]
    assert [three[0] for three in threes] == list(SUBJECTS)
    assert all(len(set(three)) == 3 for three in threes)
    assert all(len({who in TV for who in three}) == 1 for three in threes)


@pytest.mark.parametrize(
    ("difference", "p", "said"),
    [(0.1, 0.01, "holds"), (-0.1, 0.01, "does not hold"), (0.1, 0.2, "cannot be told")],
)
def test_the_order_of_the_paper(difference: float, p: float, said: str) -> None:
    assert verdict(TABLES["attention"], "dense", difference, p) == said
    assert verdict(TABLES["losses"], "without SPR", difference, p) == "no number there"


def test_each_variant_is_tested_against_the_choice_of_the_paper() -> None:
    text = report(TABLES["attention"], _runs({"dense": 0.5, "moh": 0.9, "remoh": 0.8}))
    cells = [[c.strip() for c in line.split("|")[1:-1]] for line in text.splitlines() if line]
    rows = {(row[0], row[1]): row for row in cells}
    assert ("dense", "0.733") in rows
    assert rows["remoh - dense", "AUC"][4] == "holds"
    assert rows["remoh - moh", "AUC"][4] == "does not hold"
    assert rows["remoh - dense", "AUC"][2].split()[0] == "0.300"
    assert rows["remoh - moh", "AUC of a head"][2].split()[0] == "0.000"


def test_what_has_no_routed_heads_is_not_compared_by_them() -> None:
    runs = _runs({"dense": 0.5, "remoh": 0.8})
    head = COLUMNS["AUC of a head"]
    runs = [(c, n if c.labels["variant"] == "remoh" else n | {head: float("nan")}) for c, n in runs]
    text = report(TABLES["attention"], runs)
    assert "| remoh - dense | AUC " in text
    assert not [line for line in text.splitlines() if "remoh - dense" in line and "of a head" in line]


def test_a_table_that_is_not_whole_shows_what_there_is() -> None:
    text = report(TABLES["tokens"], _runs({"4": 0.8, "8": 0.9}))
    assert "difference" not in text  # 16, the paper's choice, has not run
    assert "| 8 " in text
    assert "| 20" not in text
