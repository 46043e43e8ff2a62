"""``pvchat lr-find``: all learning rates grow by one factor, step by step; where does the loss fall fastest?

The range test of Smith 2017. Lightning's knows one rate; here each parameter group has its own, and their
ratios are kept."""

import argparse
import csv
from dataclasses import asdict
from math import isfinite
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np

from pvchat.arguments import has_config
from pvchat.callbacks import SparsityController, StageSchedule
from pvchat.errors import UserError, writing
from pvchat.lightning_cli import PVChatCLI, run
from pvchat.reporting.rate_curve import plot_rate_curve
from pvchat.stages import StageName
from pvchat.training import LearningRates

SMOOTHING, DIVERGED = 0.9, 3.0  # of the mean; of the best loss
LOSS = "train/language_modeling"  # lambda moves the routing losses, whatever the rates are
SKIPPED = 5  # points at either end of the curve that no suggestion is made of


class RangeTest(L.Callback):
    """Multiplies the rates of all groups by a factor that grows from ``least`` to ``most`` in ``steps``; ends
    when the smoothed loss of answers is ``DIVERGED`` times its best. ``points``: (factor, loss, smoothed)."""

    def __init__(self, rates: LearningRates, *, least: float, most: float, steps: int) -> None:
        self.rates, self.factors = asdict(rates), np.geomspace(least, most, steps).tolist()
        self.points: list[tuple[float, float, float]] = []
        self._losses: list[float] = []
        self._mean = 0.0

    def on_train_batch_start(self, trainer: L.Trainer, *_: Any) -> None:
        factor = self.factors[min(trainer.global_step, len(self.factors) - 1)]
        for group in trainer.optimizers[0].param_groups:
            group["lr"] = factor * self.rates[group["name"]]

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._losses.append(float(trainer.callback_metrics[LOSS]))
        if trainer.global_step == len(self.points):
            return  # more batches are accumulated
        loss, self._losses = sum(self._losses) / len(self._losses), []
        count = len(self.points) + 1
        self._mean = SMOOTHING * self._mean + (1 - SMOOTHING) * loss
        smooth = self._mean / (1 - SMOOTHING**count)  # as many terms as there are
        self.points.append((self.factors[count - 1], loss, smooth))
        best = min(point[2] for point in self.points)
        trainer.should_stop = not isfinite(loss) or (count > 2 * SKIPPED and smooth > DIVERGED * best)

    def suggestion(self) -> float | None:
        """Factor where the smoothed loss falls fastest, before its lowest point; None if it never does."""
        inner = [point for point in self.points if isfinite(point[2])][SKIPPED:-SKIPPED]
        if len(inner) < 3:
            return None
        slopes = np.gradient([point[2] for point in inner])
        lowest = int(np.argmin([point[2] for point in inner]))
        steepest = int(np.argmin(slopes[: lowest + 1]))
        return inner[steepest][0] if slopes[steepest] < 0 else None


class RangeTestCLI(PVChatCLI):
    """``fit`` with one stage that lasts as long as the test; neither run folder nor checkpoint is made."""

    options: argparse.Namespace

    def before_instantiate_classes(self) -> None:
        config, options = self.config.fit, self.options
        self.stage: StageName = options.stage or ("image" if config.stages.image.epochs else "video")
        for name in ("image", "video"):
            config.stages[name].epochs = options.steps if name == self.stage else 0
        config.trainer.max_steps, config.trainer.max_epochs = options.steps, -1
        config.trainer.limit_val_batches, config.trainer.logger = 0, False
        config.trainer.enable_progress_bar = False

    def instantiate_trainer(self, **kwargs: Any) -> L.Trainer:
        made, options = self.config_init.fit, self.options
        self.test = RangeTest(
            self.model.learning_rates, least=options.least, most=options.most, steps=options.steps
        )
        made.trainer.callbacks = [StageSchedule(made.stages), self.test]
        trainer: Any = super(PVChatCLI, self).instantiate_trainer(**kwargs)
        kept = (StageSchedule, RangeTest, SparsityController)  # nothing that saves or ends early
        trainer.callbacks = [callback for callback in trainer.callbacks if isinstance(callback, kept)]
        return trainer  # type: ignore[no-any-return]

    def after_fit(self) -> None:
        pass


def main(options: argparse.Namespace) -> None:
    """Run the test, write ``lr_find.csv`` and ``lr_find.png``, print rates to start from."""
    if not has_config(options.more):
        raise UserError("lr-find needs a config: got none. Give one, such as -c experiments/laptop.yaml.")
    if not 0 < options.least < options.most:
        raise UserError(f"--least must be in (0, most): got {options.least}, --most {options.most}.")
    RangeTestCLI.options = options
    cli: Any = run(["fit", *options.more], RangeTestCLI)
    points, factor = cli.test.points, cli.test.suggestion()
    out = Path(options.out)
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
        with (out / "lr_find.csv").open("w", newline="") as file:
            csv.writer(file).writerows([("factor", "loss", "smoothed_loss"), *points])
        title = f"{cli.config.fit.name}, {cli.stage} stage, {len(points)} steps"
        plot_rate_curve(points, factor, out / "lr_find.png", title=title)
    print(f"{len(points)} steps of the {cli.stage} stage: {out / 'lr_find.png'}, {out / 'lr_find.csv'}")
    if factor is None:
        print("The loss never falls: try other --least and --most, or more --steps.")
        return
    rates = asdict(cli.model.learning_rates).items()
    print(f"The loss falls fastest at {factor:.3g} times the rates of the config. To train with these:")
    print(" ".join(f"--model.learning_rates.{name} {factor * rate:.2g}" for name, rate in rates))
