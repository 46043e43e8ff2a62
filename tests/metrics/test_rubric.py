"""RubricScore: a mean that counts what it lacks, the same over batches and processes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from torchmetrics import MeanMetric

from pvchat.errors import UserError
from pvchat.metrics import RubricScore

SCORES = [5.0, None, 3.0, 4.0, None, 1.0, 2.0]
GIVEN = [score for score in SCORES if score is not None]


def numbers(metric: RubricScore) -> dict[str, float]:
    return {name: float(value) for name, value in metric.compute().items()}


def test_the_mean_of_what_is_scored() -> None:
    metric, reference = RubricScore(rubric="es_1to5", judge="gpt-4o"), MeanMetric()
    metric.update(SCORES)
    reference.update(np.array(GIVEN))
    assert metric.name == "es_1to5_gpt-4o"
    assert numbers(metric) == {
        "es_1to5_gpt-4o": pytest.approx(float(reference.compute())),
        "es_1to5_gpt-4o_scored": 5,
        "es_1to5_gpt-4o_unscored": 2,
    }


def test_batches_and_processes_add_up() -> None:
    whole, left, right = (RubricScore(rubric="r", judge="j") for _ in range(3))
    whole.update(SCORES)
    left.update(SCORES[:1])
    left.update(SCORES[1:2])
    right.update(SCORES[2:])
    left.merge_state(right)
    assert numbers(left) == numbers(whole)


def test_nothing_scored_is_nan() -> None:
    metric = RubricScore(rubric="r", judge="j")
    assert np.isnan(numbers(metric)["r_j"])
    metric.update([None, None])
    assert np.isnan(numbers(metric)["r_j"])
    assert numbers(metric)["r_j_unscored"] == 2


@pytest.mark.parametrize(
    ("judge", "name"),
    [("meta-llama/Llama-3.1-8B", "r_meta-llama-Llama-3.1-8B"), ("a b/../c:d", "r_a-b-..-c-d")],
)
def test_a_name_is_one_part_of_a_key(judge: str, name: str) -> None:
    assert RubricScore(rubric="r", judge=judge).name == name


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_no_score_is_none_not_nan(bad: float) -> None:
    metric = RubricScore(rubric="r", judge="j")
    with pytest.raises(UserError, match=f"finite, or None where there is none: got {bad}"):
        metric.update([1.0, bad])
    assert numbers(metric)["r_j_scored"] == 0


PROCESS = """
import json, sys
import torch.distributed as dist
from pvchat.metrics import RubricScore
rank, file = int(sys.argv[1]), sys.argv[2]
dist.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=2)
metric = RubricScore(rubric="r", judge="j")
metric.update(json.loads(sys.argv[3]))
print(json.dumps({name: float(value) for name, value in metric.compute().items()}))
"""


@pytest.mark.slow
def test_two_processes_equal_one(tmp_path: Path) -> None:
    """Shares of unequal length, so that a mean of means would be another number."""
    root = Path(__file__).parents[2]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(rank), str(tmp_path / "meeting"), json.dumps(share)],
            stdout=subprocess.PIPE,
            text=True,
            env=env,
        )
        for rank, share in enumerate((SCORES[:5], SCORES[5:]))
    ]
    found = [json.loads(process.communicate(timeout=240)[0]) for process in processes]
    one = RubricScore(rubric="r", judge="j")
    one.update(SCORES)
    assert found == [numbers(one)] * 2
