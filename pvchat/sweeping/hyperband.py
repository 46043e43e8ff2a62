"""Early termination as W&B has it: at growing iterations only the best 1/eta of the runs go on."""

from collections.abc import Mapping, Sequence
from typing import Any

MOST_BANDS = 30


def bands(settings: Mapping[str, Any]) -> list[int]:
    """Iterations (values of the metric that were logged) at which runs are compared: ``min_iter`` and its
    multiples by ``eta``, or the ``s`` parts of ``max_iter``."""
    eta = settings.get("eta", 3)
    if "min_iter" in settings:
        return [int(settings["min_iter"] * eta**n) for n in range(MOST_BANDS)]
    parts = [settings["max_iter"] / eta**n for n in range(1, int(settings["s"]) + 1)]
    return sorted(int(part) for part in parts if part >= 1)


def to_stop(
    running: Mapping[str, Sequence[float]],
    others: Sequence[Sequence[float]],
    settings: Mapping[str, Any],
    *,
    maximize: bool,
) -> list[str]:
    """Names of the ``running`` whose history is behind the best 1/eta of all at the last band they reached:
    with its best value so far, or, when ``strict``, with the value at the band."""
    sign = -1.0 if maximize else 1.0
    histories = {name: [sign * v for v in values] for name, values in running.items()}
    everyone = [*histories.values(), *([sign * v for v in values] for values in others)]
    found = []
    for name, history in histories.items():
        reached = [band for band in bands(settings) if band <= len(history)]
        if not reached:
            continue
        at = sorted(h[reached[-1] - 1] for h in everyone if len(h) >= reached[-1])
        limit = at[int(len(at) / settings.get("eta", 3))]
        if (history[reached[-1] - 1] if settings.get("strict") else min(history)) > limit:
            found.append(name)
    return found
