"""Every metric gives the same numbers in one process and in two (gloo) that share the questions unevenly."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from tiny_text_encoder import make_roberta
from torch import Tensor
from torchmetrics import Metric

import pvchat.metrics
from pvchat.metrics import (
    BERTScore,
    CorpusBLEU,
    IntervalIoU,
    NamingAccuracy,
    PresenceAccuracy,
    PresenceCalibration,
    PresenceRanking,
    RubricScore,
)
from pvchat.metrics.functional.bert_score import TextEncoder

pytestmark = pytest.mark.slow

PREDS = ["Yes, <tom> is here.", "<tom> is not here.", "A red coat, it seems to me.", "No.", "Yes.", "Blue."]
TARGET = ["Yes.", "No, <tom> is not in this video.", "<tom> wears red.", "Yes.", "Yes.", "<tom> wears red."]
THERE = [True, False, False, True, True, False]
SCORES = [2.5, -1.0, 3.0, -2.0, 0.25, 0.0]
SAID = ["From 1 s to 3 s.", "Never.", "From 0 s to 2 s and from 4 s to 5 s.", "Hm.", "From 2 s to 4 s.", ""]
SHOWN: list[list[tuple[float, float]]] = [
    [(0.0, 2.0)],
    [],
    [(0.0, 5.0)],
    [(0.0, 1.0)],
    [(2.0, 4.0)],
    [(3.0, 4.0)],
]
RATED = [5.0, None, 2.0, 1.0, 4.0, 3.0]
FIRST = 2  # of the six questions, what the first of two processes gets


def scored(folder: Path, rank: int, size: int) -> dict[str, dict[str, Tensor]]:
    """What each metric says after seeing its share of the questions, two at a time."""
    share = {1: slice(None), 2: (slice(0, FIRST), slice(FIRST, None))[rank]}[size]  # type: ignore[index]
    kept: list[tuple[Metric, tuple[list[Any], ...]]] = [
        (BERTScore(encoder=TextEncoder("roberta-tiny", folder, 2)), (PREDS, TARGET)),
        (CorpusBLEU(max_order=1), (PREDS, TARGET)),
        (CorpusBLEU(max_order=4), (PREDS, TARGET)),
        (NamingAccuracy(vocabulary={"red": ["red"], "blue": ["blue"]}), (PREDS, TARGET)),
        (PresenceAccuracy(), (PREDS, THERE, [["tom"]] * len(PREDS))),
        (PresenceCalibration(threshold=0.5), (SCORES, THERE)),
        (PresenceRanking(threshold=0.5), (SCORES, THERE)),
        (IntervalIoU(), (SAID, SHOWN, [8.0] * len(SAID))),
        (RubricScore(rubric="es_1to5", judge="m"), (RATED,)),
    ]
    found = {}
    for number, (metric, lists) in enumerate(kept):
        own = [values[share] for values in lists]
        for start in range(0, len(own[0]), 2):
            metric.update(*(values[start : start + 2] for values in own))
        numbers = metric.compute()
        name = f"{number} {type(metric).__name__}"
        found[name] = numbers if isinstance(numbers, dict) else {"": numbers}
    return found


def work(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=2)
    torch.save(scored(folder, rank, 2), folder / f"{rank}.pt")
    dist.destroy_process_group()


def test_two_processes_equal_one(tmp_path: Path) -> None:
    make_roberta(tmp_path)
    alone = scored(tmp_path, 0, 1)
    assert {name.split()[1] for name in alone} == set(pvchat.metrics.__all__)
    mp.spawn(work, (tmp_path,), nprocs=2)  # type: ignore[no-untyped-call]
    for rank in (0, 1):
        found = torch.load(tmp_path / f"{rank}.pt")
        assert found.keys() == alone.keys()
        for name, numbers in alone.items():
            assert not any(value.isnan() for value in numbers.values()), name
            torch.testing.assert_close(found[name], numbers, rtol=0, atol=1e-9, msg=f"{name} on {rank}")
