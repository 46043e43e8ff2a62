"""The commands and their options; importing them loads nothing heavy."""

import argparse
from functools import partial

from pvchat import __version__
from pvchat.commands import corpora, experiments, machines

LIGHTNING = {
    "fit": "train a model from a config",
    "validate": "loss on the validation split of a run or config",
    "test": "evaluate with controls: metrics.json and predictions.jsonl",
    "predict": "answer the questions of a manifest: predict.jsonl",
}
EPILOG = """lightning commands (-c FILE may be repeated, later files win; any value can be overridden):
  pvchat fit -c experiments/laptop.yaml --data.source.path corpus/manifest.jsonl
  pvchat fit -c experiments/laptop.yaml -c experiments/attention/dense.yaml --model.warmup_steps 20
  pvchat fit --resume runs/laptop/ID  continue a run that was killed
  pvchat test --run runs/laptop/ID    test (or validate, predict) with a trained run
  pvchat fit --help                   every option, with types and defaults
  pvchat fit -c ... --print_config    the resolved config
"""


def build_parser() -> argparse.ArgumentParser:
    """Parser of everything but the Lightning commands, which are listed for ``--help``."""
    parser = argparse.ArgumentParser(
        prog="pvchat",
        description="Personalised video chat: show one clip of a person, ask about that person in any video.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"pvchat {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    add = partial(commands.add_parser, allow_abbrev=False)  # it is not inherited
    experiments.quickstart(add("quickstart", help="learn a person and ask about them, start to end"))
    corpora.synthesize(add("synthesize", help="one clip of a person -> a training corpus"))
    experiments.chat(add("chat", help="talk about a clip with a personalised model"))
    experiments.compare(add("compare", help="do two runs, or groups of runs, differ by more than chance?"))
    experiments.report(add("report", help="one page about a run, or all runs of a folder"))
    experiments.dashboard(add("dashboard", help="the W&B workspace and report of a project, as code"))
    experiments.rerun(add("rerun", help="repeat a run from its record: are the metrics the same?"))
    experiments.evaluate(add("evaluate", help="score a run, or answers of any other system, with intervals"))
    experiments.sweep(add("sweep", help="run the points of a W&B sweep file, without a server"))
    corpora.data(add("data", help="check a manifest, pack its corpus, compose another one"))
    corpora.forget(add("forget", help="remove a subject from a corpus and from the caches, and prove it"))
    machines.assets(add("assets", help="list, prefetch or verify the embedded pretrained parts"))
    machines.import_checkpoint(add("import-checkpoint", help="check and convert a published checkpoint"))
    machines.export_checkpoint(add("export-checkpoint", help="write it back, with what was trained"))
    machines.plan(add("plan", help="memory, operations and hours of an experiment, before a GPU is rented"))
    machines.lr_find(add("lr-find", help="range test: which learning rates to start from"))
    machines.doctor(
        add("doctor", help="check an installation; with --gpu the first thing to run on a rented box")
    )
    for name, text in LIGHTNING.items():
        commands.add_parser(name, help=text, add_help=False)
    return parser
