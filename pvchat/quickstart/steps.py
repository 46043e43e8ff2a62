"""The five steps of the quickstart: pretrained parts, people, corpus, training, evaluation."""

import argparse
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from pvchat.assets import prefetch
from pvchat.errors import writing
from pvchat.evaluation import Prediction
from pvchat.faces import FaceAnalyzer
from pvchat.lightning_cli import PVChatCLI, run
from pvchat.quickstart.files import OwnFiles
from pvchat.quickstart.material import Material, default_material, own_material
from pvchat.reporting.conversation import conversation
from pvchat.reporting.summary import summary
from pvchat.runs import experiment_file
from pvchat.synthesis.builder import CorpusSettings, build_corpus
from pvchat.synthesis.identities import default_negatives
from pvchat.synthesis.pipeline.takes import SplitSize
from pvchat.synthesis.questions import QuestionCounts

ASSETS = ("smollm2-135m-instruct", "vit-s-focus", "face-embedding", "carphone")
SETTINGS = CorpusSettings(
    train=SplitSize(24, 2),
    validation=SplitSize(8),
    test=SplitSize(16),
    questions=QuestionCounts(existence=2),
)
CHECK = replace(SETTINGS, train=SplitSize(2), validation=SplitSize(1), test=SplitSize(2))
"""For ``--check``: a step or two an epoch."""
STEPS = {  # name -> rough seconds on two cores, for the estimate of what is left
    "pretrained parts": 5,
    "people": 25,
    "corpus": 25,
    "training": 260,
    "evaluation": 90,
}


class Steps:
    """Announces each step with an estimate of what is left, scaled by how long the steps so far took."""

    def __init__(self) -> None:
        self.begun = time.monotonic()
        self.done = 0

    def begin(self, name: str, text: str) -> None:
        expected = list(STEPS.values())
        before, left = sum(expected[: self.done]), sum(expected[self.done :])
        # short first steps say little about the machine, so the estimate leans on the typical time
        scale = (time.monotonic() - self.begun + 60) / (before + 60)
        self.done += 1
        assert list(STEPS)[self.done - 1] == name
        minutes = max(1, round(left * scale / 60))
        print(f"\n[{self.done}/{len(STEPS)}] {text} (about {minutes} min left in all)", flush=True)


def run_steps(options: argparse.Namespace, own: OwnFiles | None, run_dir: Path) -> None:
    """All five, into the folder ``run_dir``, with the user's ``own`` files or the built-in subject."""
    if options.threads:
        torch.set_num_threads(options.threads)
    steps = Steps()
    steps.begin("pretrained parts", "Pretrained parts: fetched on first use, then kept")
    prefetch(ASSETS)
    steps.begin("people", "People: finding faces and preparing who is not the subject")
    faces = FaceAnalyzer()
    material = (
        own_material(
            options.subject,
            own,
            faces=faces,
            face=options.face,
            more=partial(default_negatives, faces=faces, seed=options.seed, progress=True),
        )
        if own
        else default_material(faces=faces, seed=options.seed)
    )
    print("\n".join([*material.notes, material.story]), flush=True)
    steps.begin("corpus", "Corpus: positives and negatives in the same scenes, with questions")
    manifest = _corpus(material, run_dir, options)
    steps.begin("training", "Training: frozen features first, then image stage, then video stage")
    cli = run(_arguments(options, manifest, run_dir))
    steps.begin("evaluation", "Evaluation on clips and photos that training never saw")
    cli.trainer.test(cli.model, datamodule=cli.datamodule, verbose=False)
    _show(cli, material, run_dir)
    if options.check:
        print("This was a check with a few clips: everything works here, the numbers above mean nothing.")


def _corpus(material: Material, run_dir: Path, options: argparse.Namespace) -> Path:
    with writing(run_dir):
        return build_corpus(
            subjects=[material.subject],
            positives={material.subject: material.positives},
            negatives=material.negatives,
            raw=material.raw,
            out=run_dir / "corpus",
            seed=options.seed,
            settings=CHECK if options.check else SETTINGS,
            progress=True,
        )


def _arguments(options: argparse.Namespace, manifest: Path, run_dir: Path) -> list[str]:
    return [
        "fit",
        f"--config={experiment_file('laptop.yaml')}",
        f"--config={experiment_file(f'attention/{options.attention}.yaml')}",
        f"--seed_everything={options.seed}",
        f"--data.source.path={manifest}",
        f"--run_dir={run_dir}",
        f"--logger={options.logger}",
        "--name=quickstart",
        *([f"--threads={options.threads}"] if options.threads else []),
    ]


def _show(cli: PVChatCLI, material: Material, run_dir: Path) -> None:
    predictions: list[Prediction] = cli.model.predictions
    print(f"\n{summary(cli.model.metrics)}")
    print(f"\n{material.story}\n")
    print(conversation(predictions, material.subject, colour=sys.stdout.isatty()))
    print(f"\nRun folder: {run_dir} ({', '.join(sorted(p.name for p in run_dir.iterdir()))})")
    print(f"Talk to it:  pvchat chat --run {run_dir} --clip FILE")
