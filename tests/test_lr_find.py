"""The range test: which rates it uses, what it suggests, that it leaves nothing but two files."""

import csv
import math
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tiny import CONFIG, fit, make_data, make_module, make_plan

from pvchat import cli
from pvchat.lr_find import SKIPPED, RangeTest
from pvchat.training import LearningRates


def test_each_group_has_its_rate_times_the_factor(tiny_corpus: Path) -> None:
    """Accumulated batches share one; ratios of groups stay; the last step has the last factor."""
    module, seen = make_module(learning_rates=LearningRates(1e-3, 2e-3, 3e-3, 4e-3, 5e-3)), []

    class Used(RangeTest):
        def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
            seen.append({g["name"]: g["lr"] for g in optimizer.param_groups})

    test = Used(module.learning_rates, least=1e-2, most=1, steps=8)
    data = make_data(tiny_corpus, module, stages=make_plan(3, 0), batch_size=2)
    trainer = fit(module, data, test, accumulate_grad_batches=2, max_steps=8, limit_val_batches=0)
    factors = [10 ** (-2 + 2 * n / 7) for n in range(8)]
    assert len(seen) == len(test.points) == trainer.global_step == 8
    for used, factor, point in zip(seen, factors, test.points, strict=True):
        assert used == pytest.approx({n: factor * r for n, r in asdict(module.learning_rates).items()})
        assert point[0] == pytest.approx(factor)


def test_the_suggestion_is_where_a_known_curve_falls_fastest() -> None:
    """A logistic curve falls fastest at its middle; one that only rises suggests nothing."""
    test = RangeTest(LearningRates(), least=1e-3, most=1, steps=41)
    for sign, expected in ((-1, 1e-2), (1, None)):
        test.points = [(f, 0.0, sign / (1 + math.exp(-(n - 40 / 3)))) for n, f in enumerate(test.factors)]
        found = test.suggestion()
        assert (found is None) == (expected is None)
        assert expected is None or found == pytest.approx(expected, rel=0.2)
    test.points = test.points[: 2 * SKIPPED]
    assert test.suggestion() is None


def test_the_command(
    tiny_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two files and a line of flags; no run folder. Rates that grow without bound end it."""
    monkeypatch.chdir(tmp_path)
    where = (f"--data.source.path={tiny_corpus}", f"--data.cache_dir={tiny_corpus.parent / 'cache'}")
    args = ("--steps=24", "--most=1000", "--stage=video", "--out=found")
    assert cli.main(["lr-find", *CONFIG, *where, *args]) == 0
    told = capsys.readouterr().out
    assert [p.name for p in tmp_path.iterdir()] == ["found"]
    assert sorted(p.name for p in (tmp_path / "found").iterdir()) == ["lr_find.csv", "lr_find.png"]
    assert min(Image.open(tmp_path / "found" / "lr_find.png").size) > 300
    with (tmp_path / "found" / "lr_find.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert f"{len(rows)} steps of the video stage" in told
    assert float(rows[0]["factor"]) == pytest.approx(1e-3)
    if factor := re.search(r"falls fastest at (\S+) times", told):
        flags = dict(re.findall(r"--model\.learning_rates\.(\w+) (\S+)", told))
        assert float(flags["router"]) == pytest.approx(1e-2 * float(factor[1]), rel=0.1)
        assert set(flags) == set(asdict(LearningRates()))
    else:
        assert "The loss never falls" in told


@pytest.mark.parametrize(
    ("args", "said"),
    [([], "lr-find needs a config: got none"), ([*CONFIG, "--least=2", "--most=1"], "--least must be in")],
)
def test_refusals(args: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["lr-find", *args]) == 2
    assert said in capsys.readouterr().err
