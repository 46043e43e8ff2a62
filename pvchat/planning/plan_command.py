"""``pvchat plan``: parse an experiment as ``fit`` does, build it without weights, say what it will cost."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from lightning.pytorch.cli import LightningArgumentParser

from pvchat.arguments import has_config
from pvchat.datamodules.manifest import TRAINED
from pvchat.datamodules.personalized import questions_of
from pvchat.errors import UserError
from pvchat.lightning_cli import PVChatCLI, run
from pvchat.planning.devices import DEVICES
from pvchat.planning.plan import Plan, make_plan
from pvchat.planning.report import STAGES, report
from pvchat.planning.simulation import AUTOCAST
from pvchat.stages import StageName

QUESTIONS = 1455  # of an epoch, the paper's


class PlanningCLI(PVChatCLI):
    """Of ``fit`` only the parser and the model are wanted; neither run folder nor trainer is made."""

    def link_subjects(self, parser: LightningArgumentParser) -> None:
        """The corpus, which names them, need not be there."""

    def before_instantiate_classes(self) -> None:
        pass

    def instantiate_classes(self) -> None:
        with torch.device("meta"):
            self.config_init = self.parser.instantiate_classes(self.config)
        self.model = self.config_init.fit.model
        self.datamodule = self.config_init.fit.data

    def _run_subcommand(self, subcommand: str) -> None:
        pass


@dataclass(frozen=True)
class Planned:
    """An experiment, its ``plan`` and the ``steps`` of each stage: by the corpus, where it is ``known``."""

    name: str
    precision: str
    batch_size: int
    plan: Plan
    steps: dict[StageName, int]
    known: bool


def simulate(more: Sequence[str], *, questions: int = QUESTIONS, persons: int = 1) -> Planned:
    """Plan the experiment of the options ``more`` of ``fit``. Raises UserError."""
    names = ",".join(f"person{n + 1}" for n in range(persons))
    cli: Any = run(["fit", *more, f"--model.subjects=[{names}]"], PlanningCLI)
    config, data = cli.config.fit, cli.datamodule
    precision = str(config.trainer.precision or "32-true")
    if precision not in AUTOCAST:
        raise UserError(f"trainer.precision must be one of {list(AUTOCAST)}: got {precision}.")
    plan = make_plan(
        cli.model,
        data.stages,
        batch_size=data.batch_size,
        num_frames=data.settings.num_frames,
        autocast=AUTOCAST[precision],
    )
    steps = _steps(cli)
    guessed = {s: getattr(data.stages, s).epochs * -(-questions // data.batch_size) for s in STAGES}
    return Planned(config.name, precision, data.batch_size, plan, steps or guessed, steps is not None)


def main(options: argparse.Namespace) -> None:
    if not has_config(options.more):
        raise UserError("plan needs a config: got none. Give one, such as -c experiments/pvchat.yaml.")
    if not 0 < options.share <= 1:
        raise UserError(f"--share must be in (0, 1]: got {options.share}.")
    if options.questions < 1:
        raise UserError(f"--questions must be >= 1: got {options.questions}.")
    if options.persons < 1:
        raise UserError(f"--persons must be >= 1: got {options.persons}.")
    done = simulate(options.more, questions=options.questions, persons=options.persons)
    persons = "1 person" if options.persons == 1 else f"{options.persons} persons"
    print(f"Experiment {done.name!r}, {done.precision}, {persons} (--persons), simulated without weights.\n")
    device = DEVICES[options.device] if options.device else None
    basis = f"{options.questions:,} questions an epoch (--questions; no corpus yet)"
    basis = "the corpus" if done.known else basis
    size = done.batch_size
    print(report(done.plan, device, batch_size=size, steps=done.steps, basis=basis, share=options.share))


def _steps(cli: Any) -> dict[StageName, int] | None:
    """Batches of each stage, if the corpus is there; every clip is taken to be good."""
    data = cli.datamodule
    try:
        examples = [e for r in data.records if r.split in TRAINED for e in questions_of(r)]
    except UserError:
        return None
    counts = dict.fromkeys(STAGES, 0)
    for epoch in range(data.stages.epochs):
        batches = -(-len(data.order(examples, epoch)) // data.batch_size)
        counts[data.stages.name_at(epoch)] += batches
    return counts
