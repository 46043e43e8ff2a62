"""Numbers before and after training, and their paired difference with an interval."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pvchat.batch import QuestionType
from pvchat.metrics.functional.naming import Vocabulary, naming_counts
from pvchat.metrics.functional.text import BLEUStatistics, bleu_score, bleu_statistics
from pvchat.retention.before_and_after import Pair
from pvchat.statistics import Interval

NUM_RESAMPLES = 1_000
Array = npt.NDArray[np.float64]
Counts = Sequence[float]
"""What adds up over questions."""


@dataclass(frozen=True)
class Change:
    """A number before and after; ``difference`` (after minus before) has a 95 % interval, a bootstrap that
    draws units (clips, or questions in text), both sides together; none where there are fewer than two."""

    before: float
    after: float
    difference: Interval | float


def changes(
    pairs: Sequence[Pair], vocabulary: Mapping[QuestionType, Vocabulary] | None = None
) -> dict[str, Change]:
    """Where the truth is known: ``exact`` (word for word), ``contains`` (a right answer is in it), ``named``
    (the word of ``vocabulary``, and no other), ``bleu1``, ``log_likelihood``; else ``former_log_likelihood``,
    of what was said before. Always: ``same`` (as before), ``kl``, ``names_a_subject``."""
    known = [p for p in pairs if p.truth]
    found = _told(known, vocabulary or {})
    if len(known) < len(pairs):
        unknown = [p for p in pairs if not p.truth]
        found["former_log_likelihood"] = _mean(unknown, lambda p: p.log_likelihood)
    found["same"] = _mean(pairs, lambda p: (1, is_same(p.before, p.after)))
    found["kl"] = _mean(pairs, lambda p: (0, p.kl))
    found["names_a_subject"] = _mean(pairs, lambda p: p.named)
    return found


def is_same(a: str, b: str) -> bool:
    """Word for word, whatever the case."""
    return " ".join(a.casefold().split()) == " ".join(b.casefold().split())


def _told(pairs: Sequence[Pair], vocabulary: Mapping[QuestionType, Vocabulary]) -> dict[str, Change]:
    if not pairs:
        return {}

    def both(count: Callable[[str, tuple[str, ...]], Counts]) -> tuple[list[Counts], list[Counts]]:
        return [count(p.before, p.truth) for p in pairs], [count(p.after, p.truth) for p in pairs]

    def naming(said: str, truth: tuple[str, ...]) -> Counts:
        counts = [naming_counts([said], [truth[0]], words) for words in vocabulary.values()]
        return sum(int(c.right) for c in counts), sum(int(c.total.sum()) for c in counts)

    units = [p.unit for p in pairs]
    found = {
        "exact": _paired(units, *both(lambda said, truth: (_is_exact(said, truth), 1)), _share),
        "contains": _paired(units, *both(lambda said, truth: (_contains(said, truth), 1)), _share),
    }
    named = both(naming)
    if any(total for _, total in named[0]):
        found["named"] = _paired(units, *named, _share)
    found["bleu1"] = _paired(units, *both(lambda said, truth: _bleu_counts(said, truth[0])), _bleu)
    return found | {"log_likelihood": _mean(pairs, lambda p: p.log_likelihood)}


def _mean(pairs: Sequence[Pair], value: Callable[[Pair], tuple[float, float]]) -> Change:
    values = [value(p) for p in pairs]
    return _paired([p.unit for p in pairs], [(v, 1) for v, _ in values], [(v, 1) for _, v in values], _share)


def _paired(
    units: Sequence[str], before: Sequence[Counts], after: Sequence[Counts], value: Callable[[Array], float]
) -> Change:
    """``value`` of summed counts, and of what is drawn."""
    rows = {unit: row for row, unit in enumerate(dict.fromkeys(units))}
    sides = []
    for counts in (before, after):
        table = np.zeros((len(rows), len(counts[0])))
        np.add.at(table, [rows[unit] for unit in units], np.asarray(counts, dtype=np.float64))
        sides.append(table)
    old, new = (value(table.sum(0)) for table in sides)
    if len(rows) < 2:
        return Change(old, new, new - old)
    draws = np.random.default_rng(0).integers(0, len(rows), (NUM_RESAMPLES, len(rows)))
    times = np.stack([np.bincount(draw, minlength=len(rows)) for draw in draws])
    drawn = [value(b) - value(a) for a, b in zip(times @ sides[0], times @ sides[1], strict=True)]
    low, high = np.nanquantile(drawn, [0.025, 0.975]).tolist()
    return Change(old, new, Interval(new - old, low, high, 0.95, len(rows)))


def _share(counts: Array) -> float:
    return float(counts[0] / counts[1]) if counts[1] else float("nan")


def _bleu_counts(said: str, truth: str) -> Counts:
    part = bleu_statistics([said], [truth], max_order=1)
    return *part.matches, *part.totals, part.preds_length, part.target_length


def _bleu(counts: Array) -> float:
    matches, total, said, meant = counts.astype(int).tolist()
    return bleu_score(BLEUStatistics((matches,), (total,), said, meant))


def _is_exact(said: str, truth: tuple[str, ...]) -> bool:
    return any(is_same(said.strip(" .!"), answer.strip(" .!")) for answer in truth)


def _contains(said: str, truth: tuple[str, ...]) -> bool:
    """As whole words."""
    return any(re.search(rf"\b{re.escape(a.strip(' .!'))}\b", said, re.IGNORECASE) for a in truth)
