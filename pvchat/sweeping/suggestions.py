"""Where the next points come from: all of a grid, random draws, or Bayesian search over what is finished.

Optuna draws (TPE, Bergstra et al. 2011): ``sweeps``, W&B's own, cannot be installed beside numpy 2."""

import contextlib
import itertools
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pvchat.errors import UserError

if TYPE_CHECKING:
    import optuna

Values = dict[str, Any]
"""Swept name -> value, of one point."""
DISTRIBUTIONS = ("categorical", "constant", "int_uniform", "uniform", "q_uniform", "log_uniform_values")


@dataclass(frozen=True)
class Trial:
    """A point that was begun, with its metric if it is done."""

    values: Values
    metric: float | None


def grid(parameters: Mapping[str, Mapping[str, Any]]) -> list[Values]:
    """Every combination, the last parameter fastest."""
    each = [_levels(name, given) for name, given in parameters.items()]
    return [dict(zip(parameters, values, strict=True)) for values in itertools.product(*each)]


def draw(
    parameters: Mapping[str, Mapping[str, Any]], trials: Sequence[Trial], *, bayes: bool, maximize: bool
) -> Values:
    """The point after ``trials``; the same for the same ones. Those without a metric count as bad, so that
    workers do not try the same place at once. Raises UserError without the extra ``search``."""
    with _optuna() as library:
        seed = len(trials)
        sampler: optuna.samplers.BaseSampler = library.samplers.RandomSampler(seed)
        if bayes:
            sampler = library.samplers.TPESampler(seed=seed, multivariate=True, n_startup_trials=5)
        study = library.create_study(direction="maximize" if maximize else "minimize", sampler=sampler)
        space = {n: _distribution(library, n, given) for n, given in parameters.items()}
        known = [t.metric for t in trials if t.metric is not None]
        worst = (min if maximize else max)(known, default=0.0)
        for trial in trials:
            value = worst if trial.metric is None else trial.metric
            study.add_trial(library.trial.create_trial(params=trial.values, distributions=space, value=value))
        return dict(study.ask(space).params)


def check_parameter(name: str, given: Mapping[str, Any], method: str) -> None:
    """Raise UserError where ``given`` is nothing that ``method`` can take values from."""
    if {"min", "max"} <= given.keys() and not {"value", "values"} & given.keys():
        _check_range(name, given)
    if method == "grid":
        _levels(name, given)
    elif kind_of(given) not in DISTRIBUTIONS:
        raise UserError(f"{name} must have one of the distributions {DISTRIBUTIONS}: got {kind_of(given)}.")
    elif kind_of(given) not in ("categorical", "constant") and not {"min", "max"} <= given.keys():
        raise UserError(f"{name} must have values, a value, or min and max: got {sorted(given)}.")


def is_number(value: Any) -> bool:
    """In YAML 1e-4 is a word: it takes a dot, 1.0e-4."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _check_range(name: str, given: Mapping[str, Any]) -> None:
    low, high, kind = given["min"], given["max"], kind_of(given)
    got = f"got {low!r} and {high!r}."
    if not (is_number(low) and is_number(high) and low <= high):
        raise UserError(f"{name} must have numbers min <= max, such as 1.0e-4: {got}")
    if kind == "int_uniform" and not (isinstance(low, int) and isinstance(high, int)):
        raise UserError(f"{name} must have whole min and max: {got}")
    if kind == "log_uniform_values" and low <= 0:
        raise UserError(f"{name} must have min > 0 for {kind}: {got}")
    if "q" in given and kind != "q_uniform":
        raise UserError(f"{name} must have the distribution q_uniform for its q: got {kind}.")
    if not is_number(given.get("q", 1)) or given.get("q", 1) <= 0:
        raise UserError(f"{name} must have q > 0: got {given['q']!r}.")


def kind_of(given: Mapping[str, Any]) -> str:
    """The distribution, as W&B infers it where none is named."""
    if "distribution" in given:
        return str(given["distribution"])
    if "values" in given or "value" in given:
        return "categorical" if "values" in given else "constant"
    whole = all(isinstance(given.get(end), int) for end in ("min", "max"))
    return "int_uniform" if whole else "uniform"


def _levels(name: str, given: Mapping[str, Any]) -> list[Any]:
    if "value" in given:
        return [given["value"]]
    if "values" in given:
        return list(given["values"])
    if kind_of(given) == "int_uniform" and {"min", "max"} <= given.keys():
        return list(range(given["min"], given["max"] + 1))
    raise UserError(f"{name} must have values, a value, or whole min and max in a grid: got {dict(given)}.")


def _distribution(library: Any, name: str, given: Mapping[str, Any]) -> Any:
    made, kind = library.distributions, kind_of(given)
    if kind in ("categorical", "constant"):
        return made.CategoricalDistribution(_levels(name, given))
    low, high = given["min"], given["max"]
    if kind == "int_uniform":
        return made.IntDistribution(low, high)
    step = given.get("q", 1.0) if kind == "q_uniform" else None
    return made.FloatDistribution(low, high, log=kind == "log_uniform_values", step=step)


@contextlib.contextmanager
def _optuna() -> Iterator[Any]:
    try:
        import optuna
    except ImportError as error:
        raise UserError(
            "random and bayes search need Optuna: it is not installed. Take a grid, or pip install "
            "'pvchat[search]'."
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # multivariate TPE is still called experimental
        yield optuna
