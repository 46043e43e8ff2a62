"""Does an answer say when somebody is on screen? Thin class over ``functional.intervals``."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from pvchat.errors import UserError
from pvchat.metrics.functional.intervals import (
    Interval,
    intersection_and_union,
    interval_iou,
    parse_intervals,
)

THRESHOLDS = (0.3, 0.5, 0.7)


class IntervalIoU(Metric):
    """Temporal grounding: ``iou``, the mean over answers of the intersection over union in seconds;
    ``recall_at_0.3``, ``0.5``, ``0.7``, the share of answers with an IoU of at least that; ``seconds_iou``,
    of all seconds together; ``never_accuracy``, the share of clips without the person of which the answer
    says so; the numbers of ``answers`` and ``unparsed``; ``majority``, the IoU of the better of two answers
    that ignore the clip, "throughout" and "never" (nan where the length of a clip is not known). An unparsed
    answer has an IoU of 0. A share of nothing is nan. Keeps sums only, which add up over batches and
    processes."""

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    counts: Tensor
    seconds: Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # answers, unparsed, answers at each threshold; never, said to be never
        counts = torch.zeros(2 + len(THRESHOLDS) + 2, dtype=torch.long)
        self.add_state("counts", default=counts, dist_reduce_fx="sum")
        # IoU; intersection, union; IoU of the whole clip
        self.add_state("seconds", default=torch.zeros(4, dtype=torch.float64), dist_reduce_fx="sum")

    def update(
        self,
        preds: Sequence[str | Sequence[Interval]],
        target: Sequence[Sequence[Interval]],
        clip_seconds: Sequence[float | None] | None = None,
    ) -> None:
        """Add answers, as text or as intervals, the true intervals (none where the person never appears) and
        how long the clips are."""
        lengths = [None] * len(preds) if clip_seconds is None else list(clip_seconds)
        if isinstance(preds, str) or not len(preds) == len(target) == len(lengths):
            raise UserError(
                "each answer needs its true intervals, and a length if any has one: got "
                f"{len(preds)} preds, {len(target)} target, {len(lengths)} clip_seconds."
            )
        for pred, truth, length in zip(preds, target, lengths, strict=True):
            told = parse_intervals(pred, clip_seconds=length) if isinstance(pred, str) else pred
            both, either = intersection_and_union(told or (), truth)
            iou = 0.0 if told is None else interval_iou(told, truth)
            never = either == both == 0 if told is not None else False
            whole = math.nan if length is None else interval_iou([(0.0, length)], truth)
            counts = [1, told is None, *(iou >= t for t in THRESHOLDS), not truth, never]
            self.counts += torch.tensor(counts, dtype=torch.long, device=self.device)
            seconds = [iou, both, either, whole]
            self.seconds += torch.tensor(seconds, dtype=torch.float64, device=self.device)

    def compute(self) -> dict[str, Tensor]:
        counts, (iou, both, either, whole) = self.counts.double(), self.seconds
        answers, unparsed, *hits, nevers, right = counts
        shares = {f"recall_at_{t}": hit / answers for t, hit in zip(THRESHOLDS, hits, strict=True)}
        return {
            "iou": iou / answers,
            **shares,
            "seconds_iou": both / either,
            "never_accuracy": right / nevers,
            "majority": torch.maximum(whole, nevers) / answers,
            "answers": answers,
            "unparsed": unparsed,
        }
