"""What logging costs a step, and how long a command takes to its first one.

    python -m benchmarks.overhead

A step of ``pvchat fit`` with all loggers at once (CSV, TensorBoard, W&B offline), run folder, checkpoints and
progress bar, and after each a bare step (next batch, forward, objective, backward, clipping, AdamW, schedule)
on the same batch and the same weights, which are put back. From one end of a step to the next, first steps of
epochs left out; validation is no part of it. Beside it the time inside callbacks, loggers and ``log``, which
a noisy machine blurs less than a difference of whole steps. The start is that of a process, beside one that
only imports."""

import argparse
import functools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch import Tensor

from pvchat.batch import Batch
from pvchat.lightning_cli import PVChatCLI, run
from pvchat.loggers import make_loggers
from pvchat.reporting.table import Cell, render_table
from pvchat.training import PersonalizedVideoChat

ROOT = Path(__file__).parents[1]
IMPORTS = "import torch, lightning, transformers, peft"
FIRST = "first step at"
HOOKS = [name for name in dir(L.Callback) if name.startswith("on_")]
Seconds = tuple[float, float, float, float, float]
"""Of one step: with everything and bare, on the clock; the same of the processor, all threads of ours; and on
the clock inside what logs."""


class Inside:
    """``seconds`` in the wrapped methods, those that call each other counted once."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._depth = 0

    def wrap(self, owner: Any, *names: str) -> None:
        for name in names:
            setattr(owner, name, self._timed(getattr(owner, name)))

    def _timed(self, method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def timed(*args: Any, **kwargs: Any) -> Any:
            self._depth += 1
            begun = time.perf_counter()
            try:
                return method(*args, **kwargs)
            finally:
                self._depth -= 1
                self.seconds += 0.0 if self._depth else time.perf_counter() - begun

        return timed


class BareSteps(L.Callback):
    """Between the steps of a training, each once more without anything around it. ``seconds`` of each pair.
    The training goes on as if nothing had been. To be the last callback."""

    def __init__(self, inside: Inside) -> None:
        self.inside = inside
        self.seconds: list[Seconds] = []
        self._mark: tuple[float, float] | None = None

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, PersonalizedVideoChat)
        self._mark = None
        self._batches = iter(pl_module.data.epoch_loader(trainer.current_epoch))
        self._optimizer = torch.optim.AdamW([p for p in pl_module.chat.parameters() if p.requires_grad])
        self._schedule = torch.optim.lr_scheduler.LambdaLR(self._optimizer, lambda step: 1.0)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, PersonalizedVideoChat)
        whole = None if self._mark is None else _since(self._mark)
        kept = [(p, p.detach().clone(), p.grad) for p in pl_module.parameters() if p.requires_grad]
        for parameter, _, _ in kept:
            parameter.grad = None
        before = _now()
        self._step(pl_module, next(self._batches))
        bare = _since(before)
        with torch.no_grad():
            for parameter, value, gradient in kept:
                parameter.copy_(value)
                parameter.grad = gradient
        if whole is not None:
            self.seconds.append((whole[0], bare[0], whole[1], bare[1], self.inside.seconds))
        self.inside.seconds = 0.0
        self._mark = _now()

    def _step(self, module: PersonalizedVideoChat, batch: Batch) -> None:
        self._optimizer.zero_grad()
        loss: Tensor = module.loss(batch.to(module.device))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._optimizer.param_groups[0]["params"], 1.0)
        self._optimizer.step()
        self._schedule.step()


class FirstStep(L.Callback):
    """Says when the first step was done."""

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        if trainer.global_step == 1:
            print(FIRST, time.time(), flush=True)


class LoggingCLI(PVChatCLI):
    """``fit`` with every logger at once, and bare steps between."""

    def instantiate_trainer(self, **kwargs: Any) -> L.Trainer:
        trainer = super().instantiate_trainer(**kwargs)
        assert self.run_dir is not None
        trainer.loggers = make_loggers("wandb", self.run_dir, "overhead")
        inside = Inside()
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            inside.wrap(callback, *HOOKS)
        for logger in trainer.loggers:
            inside.wrap(logger, "log_metrics", "save")
        inside.wrap(self.model, "log", "log_dict")
        self.bare = BareSteps(inside)
        trainer.callbacks.append(self.bare)  # type: ignore[attr-defined]
        return trainer


def main() -> None:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=-1, help="of a repeat; default: the whole training")
    parser.add_argument("--only", choices=("laptop", "debug", "start"), help="one of the three; default: all")
    options = parser.parse_args()
    os.environ |= {"WANDB_MODE": "offline", "WANDB_SILENT": "true"}
    for experiment in ("laptop", "debug"):
        if options.only not in (None, experiment):
            continue
        with tempfile.TemporaryDirectory() as folder:
            repeats = [_trained(experiment, Path(folder), options) for _ in range(options.repeats)]
        print(render_table([f"{experiment} experiment", "measured"], step_rows(repeats), style="markdown"))
        print()
    if options.only in (None, "start"):
        with tempfile.TemporaryDirectory() as folder:
            starts = list(_starts(Path(folder), options))
        rows = start_rows(starts)
        print(render_table(["debug experiment, a process of its own", "measured"], rows, style="markdown"))
    print(f"\n{options.threads} threads, {options.repeats} repeats, torch {torch.__version__}, ", end="")
    print(f"load of the machine at the end {os.getloadavg()[0]:.1f}: median (least to most).")


def step_rows(repeats: Sequence[Sequence[Seconds]]) -> list[list[Cell]]:
    """Medians over all steps, and what was spent beside bare steps in each repeat."""
    steps = [step for repeat in repeats for step in repeat]
    whole, bare, _, bare_cpu, inside = (statistics.median(column) for column in zip(*steps, strict=True))
    rows: list[list[Cell]] = [
        ["a bare step", f"{bare:.3f} s"],
        ["a step with everything", f"{whole:.3f} s"],
    ]
    for name, at, median in (("clock", 0, bare), ("processor", 2, bare_cpu)):
        added = sorted(step[at] - step[at + 1] for step in steps)
        middle = statistics.median(added)
        low, _, high = statistics.quantiles(added, n=4)
        quartiles = f"{1e3 * middle:.1f} ms (quartiles {1e3 * low:.1f} to {1e3 * high:.1f})"
        rows.append([f"added to a step, by the {name}", f"{quartiles}, {100 * middle / median:.1f} %"])
        sums = [100 * (sum(s[at] for s in r) / sum(s[at + 1] for s in r) - 1) for r in repeats]
        rows.append([f"added to all steps of a repeat, by the {name}", _spread(sums, "%")])
    share = f"{100 * inside / bare:.2f} % of a bare step"
    rows.append(["inside callbacks, loggers and `log`", f"{1e3 * inside:.1f} ms, {share}"])
    sums = [100 * sum(step[4] for step in r) / sum(step[1] for step in r) for r in repeats]
    rows.append(["inside them, of all bare steps of a repeat", _spread(sums, "%")])
    rows.append(["steps", len(steps)])
    return rows


def start_rows(starts: Sequence[tuple[float, float]]) -> list[list[Cell]]:
    """Of pairs of (imports alone, first step), in seconds."""
    bare, first = zip(*starts, strict=True)
    return [
        [f"`{IMPORTS}`", _spread(bare, "s")],
        ["`pvchat fit` to the end of its first step", _spread(first, "s")],
        ["beyond the imports", _spread([b - a for a, b in starts], "s")],
    ]


def _trained(experiment: str, folder: Path, options: argparse.Namespace) -> list[Seconds]:
    cli: Any = run(
        [
            "fit",
            f"--config={ROOT / 'experiments' / f'{experiment}.yaml'}",
            "--data.source=pvchat.synthesis.demo.DemoCorpus",
            f"--data.cache_dir={folder / 'cache'}",
            f"--runs={folder}",
            f"--threads={options.threads}",
            f"--trainer.max_steps={options.steps}",
        ],
        LoggingCLI,
    )
    return list(cli.bare.seconds)


def _starts(folder: Path, options: argparse.Namespace) -> Iterator[tuple[float, float]]:
    """Seconds of the imports alone and up to the first step, in turn; the very first fills the caches."""
    where = os.environ | {"PVCHAT_CACHE": str(folder / "cache")}
    fit = ["-m", "pvchat.cli", "fit", f"--config={ROOT / 'experiments' / 'debug.yaml'}"]
    more = [f"--runs={folder}", f"--threads={options.threads}", "--trainer.max_steps=1"]
    hook = ["--trainer.callbacks+=benchmarks.overhead.FirstStep"]
    for repeat in range(options.repeats + 1):
        found = []
        for command in (["-c", IMPORTS], [*fit, *more, *hook]):
            begun = time.time()
            done = subprocess.run(
                [sys.executable, *command], cwd=ROOT, env=where, capture_output=True, text=True, check=True
            )
            lines = [line for line in done.stdout.splitlines() if line.startswith(FIRST)]
            found.append((float(lines[0].removeprefix(FIRST)) if lines else time.time()) - begun)
        if repeat:
            yield found[0], found[1]


def _now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def _since(mark: tuple[float, float]) -> tuple[float, float]:
    now = _now()
    return now[0] - mark[0], now[1] - mark[1]


def _spread(values: Sequence[float], unit: str) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f}) {unit}"


if __name__ == "__main__":
    main()
