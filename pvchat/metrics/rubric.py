"""Mean of ratings by a rubric: ES, DC, or a proxy under its own name."""

import math
import re
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from pvchat.errors import UserError


class RubricScore(Metric):
    """Mean of the scores that ``judge``, the name of a model, gave by ``rubric``, e.g. ``es_1to5``.

    ``compute`` gives ``{name}``, nan before the first score, and the numbers ``{name}_scored`` and
    ``{name}_unscored``. ``name`` is that of both, as ``es_1to5_gpt-4o``, so that scales and judges are never
    mixed up. Keeps sums only, which add up over batches and processes."""

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    total: Tensor
    scored: Tensor
    unscored: Tensor

    def __init__(self, *, rubric: str, judge: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.name = rubric + "_" + re.sub(r"[^\w.-]+", "-", judge)  # a slash would part the keys of a run
        self.add_state("total", default=torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        for name in ("scored", "unscored"):
            self.add_state(name, default=torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")

    def update(self, scores: Sequence[float | None]) -> None:
        """Add ``scores`` (N), None where an item is unscored. Raises UserError for one that is not finite."""
        given = [score for score in scores if score is not None]
        if bad := [score for score in given if not math.isfinite(score)]:
            raise UserError(f"scores must be finite, or None where there is none: got {bad[0]}.")
        self.total += math.fsum(given)
        self.scored += len(given)
        self.unscored += len(scores) - len(given)

    def compute(self) -> dict[str, Tensor]:
        return {
            self.name: self.total / self.scored,
            f"{self.name}_scored": self.scored.double(),
            f"{self.name}_unscored": self.unscored.double(),
        }
