"""The commands and their options; importing them loads nothing heavy."""

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any

from pvchat import __version__
from pvchat.planning.devices import DEVICES
from pvchat.synthesize_command import AboutSubject, SubjectAction

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
    _quickstart(add("quickstart", help="learn a person and ask about them, start to end"))
    _synthesize(add("synthesize", help="one clip of a person -> a training corpus"))
    _chat(add("chat", help="talk about a clip with a personalised model"))
    _compare(add("compare", help="do two runs, or groups of runs, differ by more than chance?"))
    _report(add("report", help="one page about a run, or all runs of a folder"))
    _rerun(add("rerun", help="repeat a run from its record: are the metrics the same?"))
    _evaluate(add("evaluate", help="score a run, or answers of any other system, with intervals"))
    _data(add("data", help="check a manifest, pack its corpus, compose another one"))
    _forget(add("forget", help="remove a subject from a corpus and from the caches, and prove it"))
    _assets(add("assets", help="list, prefetch or verify the embedded pretrained parts"))
    _import_checkpoint(add("import-checkpoint", help="check and convert a published checkpoint"))
    _export_checkpoint(add("export-checkpoint", help="write it back, with what was trained"))
    _plan(add("plan", help="memory, operations and hours of an experiment, before a GPU is rented"))
    _lr_find(add("lr-find", help="range test: which learning rates to start from"))
    _doctor(add("doctor", help="check an installation; with --gpu the first thing to run on a rented box"))
    for name, text in LIGHTNING.items():
        commands.add_parser(name, help=text, add_help=False)
    return parser


def _quickstart(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Builds a small corpus, trains image stage then video stage with ReMoH, SPR and HAE, evaluates on "
        "material training never saw, and leaves a run folder. Without options the subject is a talking "
        "person from a package."
    )
    parser.add_argument("--subject", help="name of your subject (with --reference and --negatives)")
    parser.add_argument(
        "--reference", nargs="+", metavar="PATH", help="clip(s), photo(s) or a folder of them"
    )
    parser.add_argument(
        "--negatives", metavar="FOLDER", help="photos or clips of other people, at least four"
    )
    parser.add_argument(
        "--face", type=_whole(1), metavar="N", help="which face of the reference, from left, first is 1"
    )
    parser.add_argument("--runs", default="runs", metavar="DIR", help="where run folders go (default: runs)")
    parser.add_argument("--seed", type=_whole(0, 2**32 - 1), default=0)
    parser.add_argument("--attention", choices=("remoh", "moh", "dense"), default="remoh")
    parser.add_argument("--threads", type=_whole(1), help="CPU threads (default: all cores)")
    parser.add_argument("--logger", choices=("csv", "tensorboard", "wandb", "wandb-online"), default="csv")
    parser.set_defaults(module="pvchat.quickstart.request")


def _synthesize(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "From one clip or a few photos of somebody to a corpus to train on: the person in other places, "
        "clothes and motions, other people in the same ones, and questions with their answers. Ends with "
        "manifest.jsonl, a contact sheet to look at and statistics; killed, it goes on when it is called "
        "again. Options of a subject stand behind its --subject, which may be repeated. Values of the recipe "
        "are overridden as in --faces 4 (see --print-config)."
    )
    parser.add_argument("--subject", action=SubjectAction, metavar="NAME", dest="subjects")
    own: Any = partial(parser.add_argument, action=AboutSubject, default=argparse.SUPPRESS)
    own("--reference", nargs="+", metavar="PATH", help="clips, photos or folders of them")
    own("--face", type=_whole(1), metavar="N", help="which person of the reference, from left, first is 1")
    own("--like", nargs="+", metavar="PHOTO", help="the person of the reference who looks like this")
    own("--gender", choices=("female", "male"), help="for prompts; else asked of a captioner")
    own("--age", choices=("young", "middle-aged", "elderly"), help="under 35, 35 to 60, over 60")
    own("--licence", metavar="TEXT", help="of the reference, for the manifest")
    own("--consent", metavar="TEXT", help="of the person, for the manifest")
    parser.add_argument("--out", metavar="DIR", help="folder of the corpus")
    parser.add_argument(
        "-c",
        "--config",
        action="append",
        default=[],
        metavar="FILE",
        help="recipe: synthesis/laptop.yaml (default), synthesis/paper.yaml or your own; later ones win",
    )
    parser.add_argument(
        "--gallery", metavar="FOLDER", help="photos and clips of other people, a sub-folder or file each"
    )
    parser.add_argument("--places", metavar="FOLDER", help="pictures and clips to show people in front of")
    parser.add_argument(
        "--allow",
        choices=("source", "background"),
        action="append",
        default=[],
        help="what test clips may share with training (may be repeated)",
    )
    parser.add_argument("--commercial", action="store_true", help="refuse parts that forbid commercial use")
    parser.add_argument("--workers", type=_whole(1), default=1, help="processes that film (default: 1)")
    parser.add_argument(
        "--ray",
        nargs="?",
        const="",
        metavar="ADDRESS",
        help="film on Ray (extra `ray`): here, or on the cluster at ADDRESS that shares the folder",
    )
    parser.add_argument("--seed", type=_whole(0, 2**32 - 1), default=0)
    parser.add_argument("--print-config", action="store_true", help="print the resolved recipe and exit")
    parser.set_defaults(module="pvchat.synthesize_command", takes_more=True)


def _chat(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Streams answers about a clip. In the conversation: /clip FILE changes the clip, /reset forgets the "
        "history, /quit ends."
    )
    parser.add_argument("--run", required=True, metavar="RUN", help="a run folder with a trained adapter")
    parser.add_argument("--clip", required=True, metavar="FILE", help="the video or photo to ask about")
    parser.add_argument("--ask", type=_text, metavar="QUESTION", help="ask once and exit")
    parser.add_argument("--max-new-tokens", type=_whole(1), default=64)
    parser.set_defaults(module="pvchat.chat")


def _compare(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Compares tested runs. Runs of one subject are averaged, then subjects are compared in pairs: "
        "bootstrap interval of the difference, sign-flip test from 8 subjects on, Holm's correction over the "
        "table. With a single subject the clips of its test take their place."
    )
    parser.add_argument(
        "a", metavar="RUNS_A", help="a run folder, a folder of them, or a file of answers (with --data)"
    )
    parser.add_argument("b", metavar="RUNS_B", help="what A is compared with")
    parser.add_argument("--data", metavar="MANIFEST", help="whose test questions a file of answers is to")
    parser.add_argument("--out", metavar="DIR", help="write comparison.md and comparison.json there")
    parser.set_defaults(module="pvchat.compare_command")


def _report(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Writes one HTML file with everything in it: presence with its controls, open questions, curves, "
        "activation of heads, reliability of the scores, the worst mistakes with frames."
    )
    parser.add_argument("runs", metavar="RUNS", help="a tested run, or a folder of them")
    parser.add_argument("--out", metavar="FILE", help="default: RUNS/report.html")
    parser.set_defaults(module="pvchat.report_command")


def _rerun(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Trains and tests again what the record of a run says, in a folder of its own. On a CPU the metrics "
        "come out the same to the last bit. Where they do not (exit code 1), it says by how much, and what "
        "is no longer as it was: settings, code, packages, machine."
    )
    parser.add_argument("run", metavar="RUN", help="a tested run")
    parser.add_argument("--out", metavar="DIR", help="default: runs/NAME-rerun/ID, beside runs/NAME")
    parser.set_defaults(module="pvchat.rerun_command")


def _evaluate(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Scores the answers of a tested run, or of any other system: metrics with intervals, breakdowns, "
        "controls, what could not be read. Writes evaluation.json, .md and .html (docs/evaluation.md)."
    )
    parser.add_argument(
        "--run", metavar="RUN", help="a run folder; with --data it is first asked those questions"
    )
    parser.add_argument(
        "--answers", metavar="FILE", help="id, answer and optional score, one JSON object a line"
    )
    parser.add_argument("--data", metavar="MANIFEST", help="whose test clips are asked about")
    parser.add_argument("--out", metavar="DIR", help="default: the run folder, or that of the answers")
    parser.add_argument(
        "--bertscore",
        nargs="?",
        const="",
        metavar="FOLDER",
        help="also BERTScore: with roberta-large of FOLDER or the hub's cache, else with the embedded MiniLM",
    )
    parser.add_argument(
        "--judge",
        action="append",
        default=[],
        metavar="MODEL",
        help="rate ES and DC with this model behind $OPENAI_BASE_URL; twice: two judges and their agreement",
    )
    parser.add_argument(
        "--judge-scale", choices=("1to5", "0to5"), default="1to5", help="0to5: 0 for a wrong person, as in R1"
    )
    parser.add_argument(
        "--print-questions", action="store_true", help="write what a system is asked, and exit"
    )
    parser.add_argument(
        "--forgetting",
        action="store_true",
        help="ask a run general questions about other people's clips and in text, before and after training",
    )
    parser.set_defaults(module="pvchat.evaluate_command")


def _data(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(title="actions", metavar="ACTION", dest="action", required=True)
    add = partial(actions.add_parser, allow_abbrev=False)
    check = add("check", help="what a manifest holds, and what is wrong with it")
    check.description = (
        "Validates a manifest and counts clips, questions, people and openings of answers. Exit code 1 says "
        "that something is wrong: a line, or a test clip that shares its source, background or seconds with "
        "what was seen before the test."
    )
    check.add_argument("manifest", metavar="MANIFEST", help="a manifest.jsonl")
    check.add_argument(
        "--allow",
        choices=("source", "background"),
        action="append",
        default=[],
        help="what test clips may share with others (may be repeated)",
    )
    pack = add("pack", help="write a corpus as WebDataset shards")
    pack.description = (
        "Packs the clips of a manifest, each with its line, into tar files and an index of their sha256. "
        "Train on them with data.source.class_path pvchat.datamodules.sources.ShardSource."
    )
    pack.add_argument("manifest", metavar="MANIFEST", help="a manifest.jsonl")
    pack.add_argument("--out", metavar="DIR", required=True, help="write into this new folder")
    pack.add_argument(
        "--shard-mb", type=_whole(1), default=256, metavar="MB", help="the most of a shard (default: 256)"
    )
    _compose(add("compose", help="a corpus of when and who does what, out of the clips of another"))
    parser.set_defaults(module="pvchat.data_command")


def _compose(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Joins the clips of a manifest, of each split alone, so that it is known exactly when who appears: "
        "one after another, and side by side where the manifest says what each person does or wears."
    )
    parser.add_argument("manifest", metavar="MANIFEST", help="a manifest.jsonl")
    parser.add_argument("--out", metavar="DIR", required=True, help="write into this new folder")
    parser.add_argument(
        "--subject", action="append", default=[], metavar="NAME", help="whose appearances (default: all)"
    )
    parser.add_argument("--count", type=_whole(1), default=40, metavar="N", help="training videos of a kind")
    parser.add_argument(
        "--held-out", type=_whole(1), default=16, metavar="N", help="validation and test videos of a kind"
    )
    parser.add_argument(
        "--parts", type=_whole(0), default=4, metavar="N", help="clips one after another (0: none)"
    )
    parser.add_argument(
        "--seconds", type=float, nargs=2, default=(1.0, 3.0), metavar=("FROM", "TO"), help="of a clip"
    )
    parser.add_argument(
        "--people", type=_whole(2), nargs="+", default=[], metavar="N", help="as many side by side, as in 2 3"
    )
    parser.add_argument(
        "--allow",
        choices=("source", "background"),
        action="append",
        default=[],
        help="what test clips may share with others (may be repeated)",
    )
    parser.add_argument("--seed", type=_whole(0, 2**32 - 1), default=0)


def _forget(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Removes clips that show the subject, faces, labels, questions, and what the caches keep of them; "
        "then searches for the name, the clips and the face. Rejects go as a whole. "
        "Runs that were trained on the subject are named and stay. Exit code 1 says that something is left."
    )
    parser.add_argument("subject", metavar="SUBJECT", help="the name in the manifest")
    parser.add_argument("--corpus", required=True, metavar="DIR", help="the folder of manifest.jsonl")
    parser.add_argument("--runs", default="runs", metavar="DIR", help="where run folders are (default: runs)")
    parser.add_argument("--yes", action="store_true", help="remove the whole corpus if nobody else is in it")
    parser.set_defaults(module="pvchat.forget_command")


def _assets(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("list", "prefetch", "verify"), nargs="?", default="list")
    parser.add_argument("names", nargs="*", help="which (default: all)")
    parser.set_defaults(module="pvchat.assets.command")


def _import_checkpoint(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Checks that a downloaded checkpoint is whole: names, shapes and bytes of all its tensors. With "
        "--out, writes it under the names of pvchat, which takes as much room again."
    )
    _checkpoint(parser)
    parser.add_argument("--out", metavar="DIR", help="convert it into this new folder")
    parser.set_defaults(module="pvchat.modules.published.importing", action="import")


def _export_checkpoint(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Writes the layout of the published checkpoint, so that its own code reads what was trained: the "
        "checkpoint that training started from, with the weights of an adapter in their places. Routers, "
        "personal queries and token rows, which have none, go into pvchat_extra.safetensors (docs/data.md)."
    )
    _checkpoint(parser)
    parser.add_argument("--adapter", metavar="DIR", help="folder adapter/ of a run")
    parser.add_argument("--out", metavar="DIR", required=True, help="write into this new folder")
    parser.set_defaults(module="pvchat.modules.published.importing", action="export")


def _plan(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Builds the experiment without weights and simulates a step of each stage: parameters, memory in "
        "several settings, operations. Takes -c FILE and overrides as fit does; neither checkpoint nor "
        "corpus need be there."
    )
    parser.add_argument("--device", choices=DEVICES, help="a GPU to compare with and to estimate hours for")
    parser.add_argument(
        "--share", type=float, default=0.35, help="of the device's speed that is reached (default: 0.35)"
    )
    parser.add_argument("--persons", type=int, default=1, help="learned together (default: 1)")
    parser.add_argument(
        "--questions",
        type=int,
        default=1455,
        help="of an epoch, where there is no corpus (default: 1455, the paper's)",
    )
    parser.set_defaults(module="pvchat.planning.plan_command", takes_more=True)


def _lr_find(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Trains for some steps while all learning rates grow by one factor, writes the curve of the loss and "
        "suggests rates. Takes -c FILE and overrides as fit does; no run is made."
    )
    parser.add_argument("--steps", type=_whole(20), default=100, help="optimizer steps (default: 100)")
    parser.add_argument("--least", type=float, default=1e-3, help="first factor (default: 0.001)")
    parser.add_argument("--most", type=float, default=100.0, help="last factor (default: 100)")
    parser.add_argument("--stage", choices=("image", "video"), help="default: the first one that there is")
    parser.add_argument("--out", default=".", metavar="DIR", help="for lr_find.png and lr_find.csv")
    parser.set_defaults(module="pvchat.lr_find", takes_more=True)


def _doctor(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Does a little real work with each part, and says what to do about what fails. With -c FILE (and "
        "overrides) it also takes a few steps of each stage of that experiment: finite, how fast, and how "
        "much memory against the plan. An imported checkpoint is compared with what was imported, tensor by "
        "tensor, and its logits on a fixed clip with those that --store kept on another machine; none come "
        "with pvchat, since the published weights were never seen here."
    )
    parser.add_argument("--store", action="store_true", help="keep the logits beside the imported checkpoint")
    parser.add_argument("--gpu", action="store_true", help="look at the GPU too, run the experiment there")
    parser.set_defaults(module="pvchat.doctor.doctor_command", takes_more=True)


def _checkpoint(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="which checkpoint: internvideo2-chat-8b-hd")
    parser.add_argument("path", metavar="PATH", help="its folder, or one that import-checkpoint wrote")


def _whole(least: int, most: int | None = None) -> Callable[[str], int]:
    """The type of an option: a whole number from ``least`` to ``most``."""

    def read(text: str) -> int:
        value = int(text)
        if value < least or (most is not None and value > most):
            rule = f">= {least}" if most is None else f"in {least}..{most}"
            raise argparse.ArgumentTypeError(f"must be {rule}: got {value}")
        return value

    read.__name__ = "int"  # argparse names it where the text is no number
    return read


def _text(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("must be a question: got nothing")
    return text
