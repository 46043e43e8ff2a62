"""A W&B sweep file: checked, its points enumerated, their commands made by W&B's own functions."""

import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from pvchat.errors import UserError
from pvchat.runs import read_config
from pvchat.sweeping.suggestions import Trial, Values, check_parameter, draw, grid, is_number

KEYS = (
    "program",
    "command",
    "name",
    "description",
    "project",
    "entity",
    "method",
    "metric",
    "parameters",
    "run_cap",
    "early_terminate",
)
PARAMETER_KEYS = ("value", "values", "min", "max", "distribution", "q")
ARGS = ("${args}", "${args_no_equals}", "${args_no_boolean_flags}")
HYPERBAND_KEYS = ("type", "min_iter", "max_iter", "s", "eta", "strict")


@dataclass(frozen=True)
class SweepFile:
    """``config`` is what the file says."""

    config: Mapping[str, Any]

    @property
    def method(self) -> str:
        return str(self.config["method"])

    @property
    def metric(self) -> str:
        return str(self.config["metric"]["name"])

    @property
    def maximized(self) -> bool:
        return bool(self.config["metric"].get("goal") == "maximize")

    @property
    def target(self) -> float | None:
        """With a metric as good as this, no more points are begun."""
        target = self.config["metric"].get("target")
        return None if target is None else float(target)

    def at_target(self, metric: float) -> bool:
        if self.target is None:
            return False
        return metric >= self.target if self.maximized else metric <= self.target

    @property
    def swept(self) -> list[str]:
        """Names of parameters with more than one value."""
        return [name for name, given in self.config["parameters"].items() if "value" not in given]

    @property
    def size(self) -> int:
        """How many points there will be."""
        cap = self.config.get("run_cap")
        if self.method != "grid":
            return int(cap or 0)
        points = len(grid(self.config["parameters"]))
        return min(points, cap or points)

    def points(self) -> list[Values]:
        """All of a grid, or the random ones; of bayes none, since they depend on results."""
        if self.method == "bayes":
            return []
        if self.method == "grid":
            return grid(self.config["parameters"])[: self.size]
        trials: list[Trial] = []
        for _ in range(self.size):
            trials.append(Trial(self.suggest(trials), None))
        return [trial.values for trial in trials]

    def suggest(self, trials: Sequence[Trial]) -> Values:
        """The next point of random or bayes."""
        bayes = self.method == "bayes"
        return draw(self.config["parameters"], trials, bayes=bayes, maximize=self.maximized)

    def command(self, values: Values) -> list[str]:
        """What an agent of W&B would run, with this Python as the interpreter."""
        from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args

        given = {"args": {name: {"value": value} for name, value in values.items()}}
        filled: dict[str, list[str]] = create_sweep_command_args(given)
        filled |= {"interpreter": [sys.executable], "program": [self.config.get("program", "")]}
        filled["env"] = [] if sys.platform == "win32" else ["/usr/bin/env"]
        words: list[str] = []
        for chunk in map(str, create_sweep_command(list(self.config["command"]))):
            macro = chunk.startswith("${") and chunk.endswith("}")
            words += filled.get(chunk[2:-1], []) if macro else [chunk]
        return words


def read_sweep(path: Path, *, more: Sequence[str] = (), base: str | None = None) -> SweepFile:
    """``more`` are options for every point, ``base`` an experiment in place of the first one of the command.
    Raises UserError."""
    config = read_config(path)
    if wrong := next(_wrong(config, more), None):
        raise UserError(f"{path} must be a W&B sweep: {wrong} Correct the file.")
    return SweepFile(config | {"command": _completed(config["command"], more, base)})


def described(values: Values) -> str:
    """The values of a point, in one line."""
    return ", ".join(f"{name.rpartition('.')[2]}={value}" for name, value in values.items())


def _wrong(config: Mapping[str, Any], more: Sequence[str]) -> Iterator[str]:
    yield from _unknown("", config, KEYS)
    if config.get("method") not in ("grid", "random", "bayes"):
        yield f"method must be grid, random or bayes: got {config.get('method')}."
    metric = config.get("metric")
    if not isinstance(metric, Mapping) or not metric.get("name") or not isinstance(metric["name"], str):
        yield f"metric must have the name of what points are compared by: got {metric}."
    else:
        yield from _unknown("metric.", metric, ("name", "goal", "target"))
        if metric.get("goal", "minimize") not in ("minimize", "maximize"):
            yield f"metric.goal must be minimize or maximize: got {metric['goal']}."
        if not is_number(metric.get("target", 0)):
            yield f"metric.target must be a number: got {metric['target']}."
    if not (isinstance(config.get("run_cap", 1), int) and config.get("run_cap", 1) > 0):
        yield f"run_cap must be a number of points: got {config['run_cap']}."
    if config["method"] != "grid" and "run_cap" not in config:
        yield f"run_cap must say how many points {config['method']} search takes: got none."
    if not isinstance(config.get("program", ""), str):
        yield f"program must be a path: got {config['program']}."
    words = config.get("command")
    words = [str(word) for word in words] if isinstance(words, list) else []
    if "fit" not in words or not any(w in ARGS for w in words):
        yield f"command must hold fit and ${{args}}: got {shlex.join(words) or 'none'}."
    yield from _wrong_stopping(config.get("early_terminate"))
    parameters = config.get("parameters")
    if not isinstance(parameters, Mapping) or not parameters:
        yield f"parameters must name what is swept: got {parameters or 'none'}."
    else:
        for name, given in parameters.items():
            yield from _wrong_parameter(name, given, config["method"], more)


def _wrong_parameter(name: str, given: Any, method: str, more: Sequence[str]) -> Iterator[str]:
    if not isinstance(name, str):
        yield f"parameters must have words as names: got {name}, which YAML reads so without quotes."
    if not isinstance(given, Mapping):
        yield f"{name} must have values, a value, or min and max: got {given}."
        return
    if "parameters" in given:
        yield f"nested parameters would replace whole groups: write those of {name} as dotted names."
    yield from _unknown(f"parameters.{name}.", given, PARAMETER_KEYS)
    if {"value", "values"} <= given.keys():
        yield f"{name} must have values or a value: got both."
    values = given.get("values", [given.get("value", "")])
    if not isinstance(values, list) or not values:
        yield f"{name} must have at least one value: got {values}, so the grid is empty."
    elif None in values:
        yield f'{name} has a null, which agents write as "None": write "null" in quotes.'
    elif any(isinstance(v, date) for v in values):
        yield f"{name} has a date: write {next(v for v in values if isinstance(v, date))} in quotes."
    elif len({str(v) for v in values}) < len(values):
        yield f"{name} must have different values: got {values}."
    try:
        check_parameter(name, given, method)
    except UserError as error:
        yield str(error)
    if name != "config" and any(word.partition("=")[0] == f"--{name}" for word in more):
        yield f"{name} is swept, so it cannot be given as an option too."


def _wrong_stopping(given: Any) -> Iterator[str]:
    if given is None:
        return
    if not isinstance(given, Mapping) or given.get("type") != "hyperband":
        yield f"early_terminate.type must be hyperband: got {given}."
        return
    yield from _unknown("early_terminate.", given, HYPERBAND_KEYS)
    for key in ("min_iter", "max_iter", "s"):
        if not is_number(given.get(key, 1)) or given.get(key, 1) < 1:
            yield f"early_terminate.{key} must be a number >= 1: got {given[key]}."
    if not is_number(given.get("eta", 3)) or given.get("eta", 3) <= 1:
        yield f"early_terminate.eta must be a number > 1: got {given['eta']}."
    if not isinstance(given.get("strict", False), bool):
        yield f"early_terminate.strict must be true or false: got {given['strict']}."
    if "min_iter" not in given and not {"max_iter", "s"} <= given.keys():
        yield f"early_terminate must have min_iter, or max_iter and s: got {sorted(given)}."


def _unknown(where: str, given: Mapping[str, Any], keys: Sequence[str]) -> Iterator[str]:
    if unknown := sorted(str(key) for key in set(given) - set(keys)):
        yield f"unknown key {where}{unknown[0]}; known: {', '.join(keys)}."


def _completed(command: Sequence[Any], more: Sequence[str], base: str | None) -> list[str]:
    """The command with ``base`` and ``more`` in it; swept values come last, so they win. It logs to files:
    nobody need be logged in."""
    words = ["--logger=csv" if word == "--logger=wandb-online" else str(word) for word in command]
    if base is not None:
        first = next((i for i, w in enumerate(words) if w.startswith("--config=")), None)
        if first is None:
            raise UserError("--base takes the place of the first --config= of the command: there is none.")
        words[first] = f"--config={base}"
    at = next(i for i, w in enumerate(words) if w in ARGS)
    return [*words[:at], *more, *words[at:]]
