"""Likeness of answers to reference answers: corpus BLEU through sacrebleu, on the paper's 0-1 scale."""

from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

from sacrebleu.metrics.bleu import BLEU, BLEUScore

from pvchat.errors import UserError

References = Sequence[str] | Sequence[Sequence[str]]


class BLEUStatistics(NamedTuple):
    """What a corpus BLEU is made of; adds up over parts of the corpus. ``matches`` and ``totals`` count
    n-grams of order 1, 2, ..; lengths are in words (``target_length``: of the nearest references)."""

    matches: tuple[int, ...]
    totals: tuple[int, ...]
    preds_length: int
    target_length: int


def corpus_bleu(preds: Sequence[str], target: References, *, max_order: int = 4) -> float:
    """Corpus BLEU in [0, 1] of ``preds`` (N) against ``target``: N answers, or N equally long lists.

    ``max_order`` 1 is the paper's BLEU. At 4, answers shorter than four words score 0: "yes" against "yes"
    too. UserError when the shapes do not fit, which sacrebleu itself would score silently."""
    return bleu_score(bleu_statistics(preds, target, max_order=max_order))


def bleu_statistics(preds: Sequence[str], target: References, *, max_order: int = 4) -> BLEUStatistics:
    """Counts of one part of a corpus."""
    score = _score(preds, target, max_order)
    return BLEUStatistics(tuple(score.counts), tuple(score.totals), score.sys_len, score.ref_len)


def bleu_score(statistics: BLEUStatistics) -> float:
    """BLEU in [0, 1] of summed counts."""
    matches, totals, preds_length, target_length = statistics
    score = BLEU.compute_bleu(
        list(matches),
        list(totals),
        preds_length,
        target_length,
        smooth_method="exp",
        max_ngram_order=len(totals),
    )
    return float(score.score) / 100


def bleu_signature(*, max_order: int, num_references: int = 1) -> str:
    """sacrebleu's signature of how the number came about, with the order, which it leaves out."""
    bleu = BLEU(max_ngram_order=max_order)
    bleu.corpus_score(["x"], [["x"]] * num_references)  # the signature is known after scoring only
    return f"{bleu.get_signature()}|order:{max_order}"


def _score(preds: Sequence[str], target: References, max_order: int) -> BLEUScore:
    if max_order not in (1, 2, 3, 4):
        raise UserError(f"max_order must be 1, 2, 3 or 4: got {max_order}.")
    streams = _streams(preds, target)
    score: BLEUScore = BLEU(max_ngram_order=max_order).corpus_score(list(preds), streams)
    return score


def _streams(preds: Sequence[str], target: References) -> list[list[str]]:
    """sacrebleu's layout: for each of R references a list of N."""
    if isinstance(preds, str) or isinstance(target, str):
        raise UserError("preds and target must be lists of answers: got a single string. Wrap it in a list.")
    if not preds or len(preds) != len(target):
        raise UserError(
            "each answer needs its reference, in the same order: "
            f"got {len(preds)} preds and {len(target)} targets."
        )
    lists = [list(item) if isinstance(item, list | tuple) else [item] for item in target]
    counts = {len(references) for references in lists}
    if len(counts) != 1 or 0 in counts:
        raise UserError(f"every answer needs as many references, at least one: got {sorted(counts)}.")
    if strange := [x for x in (*preds, *chain(*lists)) if not isinstance(x, str)]:
        raise UserError(f"answers and references must be strings: got {strange[0]!r}.")
    return [list(stream) for stream in zip(*lists, strict=True)]
