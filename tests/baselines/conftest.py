"""Baselines through the command line, on drawn people."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import LAPTOP, ROOT, TINY

from pvchat import cli, lightning_cli
from pvchat.runs import METRICS, PREDICTIONS
from pvchat.training import PersonalizedVideoChat


@dataclass(frozen=True)
class Tested:
    """A baseline after ``pvchat fit``, and what ``pvchat test --run`` wrote."""

    model: PersonalizedVideoChat
    metrics: dict[str, float]
    predictions: list[dict[str, Any]]

    @property
    def moved(self) -> set[str]:
        """Names of the weights that training has changed."""
        now = dict(self.model.named_parameters())
        return {name for name, start in self.model.initial.items() if not torch.equal(now[name], start)}


@pytest.fixture
def tested(tiny_corpus: Path, tmp_path: Path) -> Callable[..., Tested]:
    def run(name: str, *more: str, corpus: Path = tiny_corpus) -> Tested:
        overlay = ROOT / "experiments" / "baselines" / f"{name}.yaml"
        files = [f"--config={file}" for file in (LAPTOP, TINY, overlay)]
        cache = f"--data.cache_dir={corpus.parent / 'cache'}"
        given = (f"--data.source.path={corpus}", cache, f"--runs={tmp_path / 'runs'}", *more)
        fitted = lightning_cli.run(["fit", *files, *given])
        folder = fitted.run_dir
        assert cli.main(["test", "--run", str(folder)]) == 0
        lines = (folder / PREDICTIONS).read_text().splitlines()
        metrics = json.loads((folder / METRICS).read_text())
        return Tested(fitted.model, metrics, [json.loads(line) for line in lines])

    return run
