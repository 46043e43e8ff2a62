"""Our sweep files, and what is wrong with others."""

import sys
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from tiny import ROOT, TINY

from pvchat import lightning_cli
from pvchat.errors import UserError
from pvchat.lightning_cli import PVChatCLI
from pvchat.provenance import differences
from pvchat.sweeping.suggestions import Trial
from pvchat.sweeping.sweep_file import SweepFile, read_sweep

SWEEPS = sorted((ROOT / "sweeps").glob("*.yaml"))
every_sweep = pytest.mark.parametrize("path", SWEEPS, ids=lambda p: p.stem)


def points(sweep: SweepFile) -> list[dict[str, Any]]:
    if sweep.method == "grid":
        return sweep.points()
    pytest.importorskip("optuna")
    return [sweep.suggest([Trial({n: g["min"] for n, g in sweep.config["parameters"].items()}, 0.5)])]


@pytest.fixture
def resolve(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[str]], dict[str, Any]]:
    """The config that the real parser makes of a command; nothing is built."""

    class StopError(Exception):
        pass

    def stop(self: PVChatCLI) -> None:
        raise StopError(self.config[self.subcommand])

    def resolved(command: list[str]) -> dict[str, Any]:
        with pytest.raises(StopError) as found:
            lightning_cli.run(command[command.index("fit") :])
        config: dict[str, Any] = found.value.args[0].as_dict()
        return config

    monkeypatch.setattr(PVChatCLI, "before_instantiate_classes", stop)
    monkeypatch.chdir(ROOT)
    return resolved


@every_sweep
def test_it_states_its_question_and_expands(path: Path) -> None:
    first, second = path.read_text().splitlines()[:2]
    assert f"pvchat sweep sweeps/{path.name}" in first
    assert "?" in second
    sweep = read_sweep(path)
    assert sweep.size > 1
    assert path.stem == sweep.config["name"]
    if sweep.method == "grid":
        assert len(sweep.points()) == sweep.size
        assert sweep.config["parameters"]["seed_everything"] == {"values": [0, 1, 2]}


def leaves(config: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in config.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def check(sweep: SweepFile, values: dict[str, Any], plain: dict[str, Any], now: dict[str, Any]) -> None:
    """The resolved config has the values of a point, and what else it changes is inside a class or group that
    the point names."""
    named = {k: v for k, v in values.items() if k != "config"}
    overlay = yaml.safe_load(Path(values["config"]).read_text()) if "config" in values else {}
    allowed = [name.removesuffix(".class_path") for name in (*named, *leaves(overlay))]
    for name, (was, found) in differences(plain, now).items():
        inside = any(name == a or name.startswith(f"{a}.") for a in allowed)
        linked = name in ("model.seed", "data.seed") and "seed_everything" in values
        assert inside or linked, f"{values} changes {name}: {was} -> {found}"
    for name, value in named.items():
        part: Any = now
        for key in name.split("."):
            part = part[key]
        assert part == (yaml.safe_load(value) if isinstance(value, str) else value), name


@every_sweep
def test_points_change_exactly_what_they_name(
    path: Path, resolve: Callable[[list[str]], dict[str, Any]]
) -> None:
    """The first point and the last."""
    sweep = read_sweep(path)
    plain = resolve(sweep.command({}))
    some = points(sweep)
    for values in (some[0], some[-1]):
        check(sweep, values, plain, resolve(sweep.command(values)))


@pytest.mark.slow
@every_sweep
def test_every_point_changes_exactly_what_it_names(
    path: Path, resolve: Callable[[list[str]], dict[str, Any]]
) -> None:
    sweep = read_sweep(path)
    plain = resolve(sweep.command({}))
    for values in points(sweep):
        check(sweep, values, plain, resolve(sweep.command(values)))


def test_the_command_is_that_of_an_agent(tmp_path: Path) -> None:
    sweep = read_sweep(ROOT / "sweeps" / "tokens.yaml", more=["--name", "mine"], base="mine.yaml")
    command = sweep.command({"model.chat.init_args.num_soft_tokens": 4, "seed_everything": 2})
    assert command[-5:] == [
        "--logger=csv",
        "--name",
        "mine",
        "--model.chat.init_args.num_soft_tokens=4",
        "--seed_everything=2",
    ]
    assert "--config=mine.yaml" in command
    assert "--config=experiments/laptop.yaml" not in command


GRID = {"values": [1, 2]}
STOP = {"type": "hyperband"}
SEARCH = {"method": "random", "run_cap": 1}
LOG = {"distribution": "log_uniform_values"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metod": "grid"}, "unknown key metod; known: program, command"),
        ({"method": "best"}, "method must be grid, random or bayes: got best."),
        ({"metric": {"name": "a", "gaol": "minimize"}}, "unknown key metric.gaol"),
        ({"metric": {"name": "a", "target": "high"}}, "metric.target must be a number: got high."),
        ({"metric": None}, "metric must have the name of what points are compared by"),
        ({"parameters": {}}, "parameters must name what is swept: got none."),
        ({"parameters": {"x": {"values": []}}}, "x must have at least one value: .* so the grid is empty"),
        ({"parameters": {"x": {"value": 1, "vals": []}}}, "unknown key parameters.x.vals"),
        ({"parameters": {"x": {"values": [1, None]}}}, 'x has a null, .* write "null" in quotes'),
        ({"parameters": {"x": {"values": [1, 1]}}}, "x must have different values"),
        ({"parameters": {"x": {"parameters": {"y": GRID}}}}, "nested parameters would replace whole groups"),
        ({"parameters": {"x": {"min": 0.1, "max": 1.0}}}, "whole min and max in a grid"),
        ({"parameters": {"x": GRID, "seed": GRID}}, "seed is swept, so it cannot be given as an option too"),
        ({"method": "random"}, "run_cap must say how many points random search takes"),
        ({"command": ["${program}", "${args}"]}, "command must hold fit and"),
        ({"early_terminate": STOP}, "early_terminate must have min_iter, or max_iter and s"),
        (
            {"early_terminate": STOP | {"min_iter": 0}},
            "min_iter must be a number >= 1: got 0",
        ),
        ({"early_terminate": STOP | {"min_iter": 1, "eta": 1}}, "eta must be a number > 1: got 1"),
        ({"early_terminate": STOP | {"min_iter": 1, "strict": "no"}}, "strict must be true or false: got no"),
        ({"parameters": {"x": {"min": 3, "max": 1}}}, "x must have numbers min <= max"),
        (SEARCH | {"parameters": {"x": {"min": "1e-4", "max": 1.0}}}, "such as 1.0e-4: got '1e-4' and 1.0"),
        (SEARCH | {"parameters": {"x": LOG | {"min": 0, "max": 1}}}, "x must have min > 0 for log_uniform"),
        (
            SEARCH | {"parameters": {"x": {"min": 0, "max": 1, "q": 1}}},
            "q_uniform for its q: got int",
        ),
        ({"parameters": {"x": {"min": 0.5, "max": 2, "distribution": "int_uniform"}}}, "whole min and max"),
        ({"parameters": {"x": {"value": 1, "values": [1]}}}, "values or a value: got both"),
        ({"parameters": {"x": {"values": [date(2020, 1, 2)]}}}, "x has a date: write 2020-01-02 in quotes"),
        ({"parameters": {True: GRID}}, "parameters must have words as names: got True"),
        ({"parameters": {"x": {1: 2, "a": 3}}}, "unknown key parameters.x.1"),
        ({"metric": {"name": None}}, "metric must have the name of what points are compared by"),
        ({"program": ["a"]}, "program must be a path"),
        ({"command": ["fit", "${arg}", "${args_jso}"]}, "command must hold fit and"),
    ],
)
def test_what_is_wrong_is_said(changes: dict[str, Any], message: str, sweep: Any) -> None:
    with pytest.raises(UserError, match=message):
        read_sweep(sweep(GRID, **changes), more=["--seed=1"])


def test_without_optuna_a_grid_still_works(sweep: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert read_sweep(sweep(GRID)).points() == [{"x": 1}, {"x": 2}]
    with pytest.raises(UserError, match="random and bayes search need Optuna: it is not installed"):
        read_sweep(sweep({"min": 1, "max": 2}, method="random", run_cap=1)).points()


@pytest.mark.slow
@every_sweep
def test_the_first_point_trains_a_step(
    path: Path, tmp_path: Path, tiny_corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    small = ["-c", TINY, f"--data.source.path={tiny_corpus}", "--trainer.fast_dev_run=true"]
    sweep = read_sweep(path, more=[*small, f"--data.cache_dir={tiny_corpus.parent / 'cache'}"])
    command = sweep.command(points(sweep)[0])
    cli = lightning_cli.run([*command[command.index("fit") :], f"--run_dir={tmp_path / 'run'}"])
    assert cli.trainer.global_step == 1
    assert any(name.startswith("test/main/") for name in cli.model.metrics) == ("--then_test=true" in command)
