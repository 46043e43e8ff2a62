"""Trained runs kept by what they were made of, so that no cell is trained twice and a long grid resumes."""

import hashlib
import json
import multiprocessing
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks.kept import Kept
from pvchat.datamodules.manifest import read_manifest
from pvchat.runs import CHECKPOINTS, HEAD_MAP, METRICS, PREDICTIONS, write_json, write_jsonl

LABELS = "labels.json"


@dataclass(frozen=True)
class Cell:
    """One run: ``labels`` name it in tables, ``configs`` and ``overrides`` are its command line, ``manifest``
    its data."""

    labels: Mapping[str, str]
    configs: tuple[Path, ...]
    overrides: tuple[str, ...]
    manifest: Path

    @property
    def key(self) -> str:
        """Hash of what the configs say (not their comments), the overrides and the files of the corpus."""
        parts = [yaml.safe_load(c.read_text()) for c in self.configs], list(self.overrides)
        files = {r.path for r in read_manifest(self.manifest)} | {self.manifest.absolute()}
        named = sorted((os.path.relpath(f, self.manifest.absolute().parent), f) for f in files)
        data = [(name, hashlib.sha256(f.read_bytes()).hexdigest()) for name, f in named]
        return hashlib.sha256(json.dumps([parts, data], sort_keys=True).encode()).hexdigest()[:16]


def run_grid(
    cells: Sequence[Cell], root: Path, *, workers: int = 1, kept: Kept | None = None
) -> list[tuple[Cell, dict[str, float]]]:
    """Metrics of every cell; trained in ``root/<key>`` where they are neither there nor ``kept``. Shows time
    left."""
    missing = [c for c in cells if known(c, root, kept) is None]
    print(f"{len(cells)} runs, {len(cells) - len(missing)} of them kept from before.", flush=True)
    begun = time.monotonic()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_quiet) as pool:
        futures = {pool.submit(train, cell, root): cell for cell in missing}
        for done, future in enumerate(as_completed(futures), 1):
            future.result()
            known(futures[future], root, kept)
            left = (time.monotonic() - begun) / done * (len(missing) - done)
            print(
                f"{done}/{len(missing)} {dict(futures[future].labels)}, {left / 60:.0f} min left", flush=True
            )
    return finished(cells, root, kept)


def finished(
    cells: Sequence[Cell], root: Path, kept: Kept | None = None
) -> list[tuple[Cell, dict[str, float]]]:
    """Those of the cells that ran, with their metrics."""
    found = [(cell, known(cell, root, kept)) for cell in cells]
    return [(cell, metrics) for cell, metrics in found if metrics is not None]


def known(cell: Cell, root: Path, kept: Kept | None = None) -> dict[str, float] | None:
    """Metrics of a cell that ran, None for others. What is found in ``root`` is kept."""
    before = kept.get(cell.key) if kept else None
    if before is not None or not is_finished(cell, root):
        return before
    metrics = metrics_of(cell, root)
    if kept:
        kept.add(cell.key, cell.labels, metrics)
    return metrics


def is_finished(cell: Cell, root: Path) -> bool:
    """Whether it was fitted and tested; a fit alone leaves metrics, too."""
    return (root / cell.key / LABELS).is_file()


def metrics_of(cell: Cell, root: Path) -> dict[str, float]:
    """Of a finished run."""
    metrics: dict[str, float] = json.loads((root / cell.key / METRICS).read_text())
    return metrics


def train(cell: Cell, root: Path) -> None:
    """Fit and test one cell on one thread; adds its labels, seconds and active rate to the run."""
    import torch

    from pvchat.lightning_cli import run

    torch.set_num_threads(1)
    folder = root / cell.key
    folder.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    cli = run(
        [
            "fit",
            *(f"--config={c}" for c in cell.configs),
            f"--data.source.path={cell.manifest}",
            f"--run_dir={folder}",
            "--trainer.enable_progress_bar=false",
            *cell.overrides,
        ]
    )
    fitted = time.perf_counter()
    logged = {k: float(v) for k, v in cli.trainer.logged_metrics.items()}
    cli.trainer.test(cli.model, datamodule=cli.datamodule, verbose=False)
    extra: dict[str, Any] = {
        "train/active_rate": logged.get("train/active_rate", float("nan")),
        "train/loss": logged.get("train/loss", float("nan")),
        "seconds/fit": fitted - started,
        "seconds/test": time.perf_counter() - fitted,
        "test/threshold": cli.model.threshold,
    }
    if (heads := folder / f"{HEAD_MAP}.json").is_file():
        extra["test/main/held_out_head_auc"] = json.loads(heads.read_text()).get("held_out_auc", float("nan"))
    write_jsonl(folder / PREDICTIONS, (p.as_json() for p in cli.model.predictions))
    write_json(folder / METRICS, cli.model.metrics | extra)
    write_json(folder / LABELS, dict(cell.labels))  # last: it says that all is there
    shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)  # nothing is left to resume; a grid has hundreds


def _quiet() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    os.environ["TQDM_DISABLE"] = "1"
