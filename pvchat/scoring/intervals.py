"""Score intervals of shares and areas, which keep a width where everything was right or wrong.

Wilson 1927 for a share; Newcombe 2006 (Statistics in Medicine 25:559, method 5) for an area under the ROC
curve; the method of variance estimates recovery (Zou and Donner 2008) for a mean of shares. All take
independent units: clips, not questions.
"""

from collections.abc import Callable, Sequence
from statistics import NormalDist

from pvchat.errors import UserError
from pvchat.statistics import Interval


def wilson(share: float, units: float, *, level: float = 0.95) -> Interval:
    """Of a ``share`` of ``units``; it need not be a whole number of them."""
    z = _quantile(level)
    if units <= 0 or not 0 <= share <= 1:
        raise UserError(f"a share in 0..1 of at least one unit is needed: got {share} of {units}.")
    middle = (share + z * z / (2 * units)) / (1 + z * z / units)
    half = z / (1 + z * z / units) * (share * (1 - share) / units + (z / (2 * units)) ** 2) ** 0.5
    return Interval(share, max(0.0, middle - half), min(1.0, middle + half), level, int(units))


def mean_of_shares(shares: Sequence[tuple[float, float]], *, level: float = 0.95) -> Interval:
    """Of the mean of independent shares, each given with its units: of both sides, a balanced accuracy."""
    parts = [wilson(share, units, level=level) for share, units in shares]
    mean = sum(part.mean for part in parts) / len(parts)
    below = sum((part.mean - part.low) ** 2 for part in parts) ** 0.5 / len(parts)
    above = sum((part.high - part.mean) ** 2 for part in parts) ** 0.5 / len(parts)
    units = sum(part.num_subjects for part in parts)
    return Interval(mean, max(0.0, mean - below), min(1.0, mean + above), level, units)


def auc_interval(auc: float, yes: int, no: int, *, level: float = 0.95) -> Interval:
    """Of an area under the ROC curve of ``yes`` and ``no`` units."""
    if yes < 1 or no < 1 or not 0 <= auc <= 1:
        raise UserError(f"an AUC in 0..1 of units of both kinds is needed: got {auc} of {yes} and {no}.")
    z, more = _quantile(level), (yes + no) / 2 - 1

    def inside(area: float) -> bool:
        spread = 1 + more * (1 - area) / (2 - area) + more * area / (1 + area)
        return (auc - area) ** 2 <= z * z * area * (1 - area) * spread / (yes * no)

    return Interval(auc, _edge(inside, auc, 0.0), _edge(inside, auc, 1.0), level, yes + no)


def _edge(inside: Callable[[float], bool], start: float, end: float) -> float:
    """Where ``inside`` ends between ``start``, which is, and ``end``."""
    near, far = start, end
    for _ in range(50):
        middle = (near + far) / 2
        near, far = (middle, far) if inside(middle) else (near, middle)
    return near


def _quantile(level: float) -> float:
    if not 0 < level < 1:
        raise UserError(f"level must be in (0, 1): got {level}.")
    return NormalDist().inv_cdf((1 + level) / 2)
