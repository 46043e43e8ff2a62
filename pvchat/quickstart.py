"""``pvchat quickstart``: from one clip or a few photos to a personalised model, evaluated, in minutes."""

import argparse
import time
from pathlib import Path

import torch

from pvchat.assets import prefetch
from pvchat.errors import UserError
from pvchat.faces import FaceAnalyzer
from pvchat.lightning_cli import PVChatCLI, run
from pvchat.quickstart_material import Material, default_material, own_material
from pvchat.reporting.summary import summary
from pvchat.runs import METRICS, PREDICTIONS, experiment_file, new_run
from pvchat.subjects import check_name, mention
from pvchat.synthesis.builder import CorpusSettings, SplitSize, build_corpus
from pvchat.synthesis.questions import QuestionCounts

ASSETS = ("smollm2-135m-instruct", "vit-s-focus", "face-embedding")
SETTINGS = CorpusSettings(
    train=SplitSize(24, 2),
    validation=SplitSize(8),
    test=SplitSize(16),
    questions=QuestionCounts(existence=2),
)
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


def main(options: argparse.Namespace) -> None:
    """Run all steps; everything lands in one run folder. Raises UserError before anything long starts."""
    own = _check(options)
    if options.threads:
        torch.set_num_threads(options.threads)
    steps = Steps()
    steps.begin("pretrained parts", "Pretrained parts: fetched on first use, then kept")
    prefetch([*ASSETS, *([] if own else ["carphone"])])
    steps.begin("people", "People: finding faces and preparing who is not the subject")
    faces = FaceAnalyzer()
    material = (
        own_material(options.subject, options.reference, options.negatives, faces=faces, face=options.face)
        if own
        else default_material(faces=faces, seed=options.seed)
    )
    print(material.story)
    run_dir = new_run(options.runs, "quickstart")
    steps.begin("corpus", "Corpus: positives and negatives in the same scenes, with questions")
    manifest = build_corpus(
        subjects=[material.subject],
        positives={material.subject: material.positives},
        negatives=material.negatives,
        raw=material.raw,
        out=run_dir / "corpus",
        seed=options.seed,
        settings=SETTINGS,
    )
    steps.begin("training", "Training: frozen features first, then image stage, then video stage")
    cli = run(_arguments(options, manifest, run_dir))
    steps.begin("evaluation", "Evaluation on clips and photos that training never saw")
    cli.trainer.test(cli.model, datamodule=cli.datamodule, verbose=False)
    _show(cli, material, run_dir)


def _check(options: argparse.Namespace) -> bool:
    """True when the user brings a subject. Refuses half a request."""
    given = {k: getattr(options, k) for k in ("subject", "reference", "negatives")}
    missing = [f"--{k}" for k, v in given.items() if not v]
    if len(missing) == 3:
        return False
    if missing:
        raise UserError(
            "your own subject needs --subject, --reference and --negatives: "
            f"got no {' and no '.join(missing)}. Without any of them a built-in subject is used."
        )
    check_name(options.subject)
    return True


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
    print(f"\n{summary(cli.model.metrics)}")
    print(f"\n{material.story}\n")
    _converse(cli, material.subject)
    print(f"\nRun folder: {run_dir} ({METRICS}, {PREDICTIONS}, head_activation.png, metrics.csv, ...)")
    print(f"Talk to it:  pvchat chat --run {run_dir} --clip FILE")


def _converse(cli: PVChatCLI, subject: str) -> None:
    """A few of the test's questions and answers, about a clip with and one without the subject."""
    for present, who in ((True, "with"), (False, "without")):
        told = [p for p in cli.model.predictions if p.control == "main" and p.presence[subject] is present]
        print(f"A test clip {who} {subject}: {told[0].clip_id}")
        asked: set[str] = set()
        for p in (p for p in told if p.clip_id == told[0].clip_id):
            if p.type not in asked:
                asked.add(p.type)
                plain = [text.replace(mention(subject), subject) for text in (p.question, p.answer or "")]
                print(f"  > {plain[0]}\n    {plain[1]}")
