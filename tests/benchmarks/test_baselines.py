"""Which runs are made of the baselines, and what is read off them; runs are made up."""

from pathlib import Path

import pytest
import yaml

from benchmarks.baselines import EXPERIMENTS, GROUPS, METHODS, RATES, _rates, _report, cells_of
from benchmarks.grid import Cell
from benchmarks.identity import METRICS
from benchmarks.people import SUBJECTS

MANIFESTS = {(who, seed): Path(f"{who}-{seed}") for who in SUBJECTS for seed in (0, 1)}


def _run(method: str, who: str, auc: float) -> tuple[Cell, dict[str, float]]:
    numbers = dict.fromkeys(METRICS.values(), 0.5) | {METRICS["AUC"]: auc}
    numbers |= {"seconds/fit": 1.0, "seconds/test": 2.0, "test/text_only/presence_auc": 0.5}
    return Cell({"variant": method, "subject": who, "seed": "0"}, (), (), Path()), numbers


def test_only_what_compares_faces_sees_them_in_the_harder_setting() -> None:
    for setting, harder in (("easy", set()), ("hard", set(METHODS) - {"face retrieval", "concept head"})):
        cells = cells_of(setting, METHODS, MANIFESTS)
        without = {c.labels["variant"] for c in cells if EXPERIMENTS / "bench/appearance.yaml" in c.configs}
        assert without == harder
        assert len(cells) == len(METHODS) * len(MANIFESTS)
        assert all(config.is_file() for c in cells for config in c.configs)
    assert [c.labels["seed"] for c in cells] == sorted(c.labels["seed"] for c in cells)


def test_each_method_that_trains_has_as_many_rates_to_choose_from() -> None:
    cells = cells_of("tune", METHODS, {("d0", 0): Path()})
    tried = [c.labels["variant"].split(" x ")[0] for c in cells]
    assert {name: tried.count(name) for name in tried} == {
        name: len(RATES) for name, method in METHODS.items() if method.rate is not None
    }


def test_rates_are_those_of_the_laptop_times_a_factor() -> None:
    rates = yaml.safe_load((EXPERIMENTS / "laptop.yaml").read_text())["model"]["learning_rates"]
    assert list(rates) == list(GROUPS)
    told = dict(flag.removeprefix("--model.learning_rates.").split("=") for flag in _rates(3.0))
    assert {group: float(rate) for group, rate in told.items()} == pytest.approx(
        {group: 3 * rate for group, rate in rates.items()}
    )
    assert _rates(1.0) == _rates(None) == ()


def test_pvchat_is_compared_on_the_people_that_both_have() -> None:
    runs = {
        "face retrieval": [_run("face retrieval", who, 0.9) for who in SUBJECTS[:8]],
        "remoh": [_run("remoh", who, 0.8 if who in SUBJECTS[:8] else 0.0) for who in SUBJECTS],
    }
    report = _report(runs, paired=True)
    (row,) = (line for line in report.splitlines() if "remoh - face retrieval" in line)
    assert row.split("|")[2].split()[0] == "-0.100"
    assert float(row.split("|")[3]) == pytest.approx(2 / 2**8, abs=5e-4)
    assert "One person" in _report({n: r[:1] for n, r in runs.items()}, paired=True)
