"""To train, ask, score and compare."""

import argparse

from pvchat.commands.values import positive, question, whole
from pvchat.planning.devices import DEVICES


def quickstart(parser: argparse.ArgumentParser) -> None:
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
        "--face", type=whole(1), metavar="N", help="which face of the reference, from left, first is 1"
    )
    parser.add_argument("--runs", default="runs", metavar="DIR", help="where run folders go (default: runs)")
    parser.add_argument("--seed", type=whole(0, 2**32 - 1), default=0)
    parser.add_argument("--attention", choices=("remoh", "moh", "dense"), default="remoh")
    parser.add_argument("--threads", type=whole(1), help="CPU threads (default: all cores)")
    parser.add_argument(
        "--logger", choices=("csv", "tensorboard", "wandb", "wandb-online"), default="tensorboard"
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="all steps with a few clips, to see that they work; learns nothing",
    )
    parser.set_defaults(module="pvchat.quickstart.request")


def chat(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Streams answers about a clip. In the conversation: /clip FILE changes the clip, /reset forgets the "
        "history, /quit ends."
    )
    parser.add_argument("--run", required=True, metavar="RUN", help="a run folder with a trained adapter")
    parser.add_argument("--clip", required=True, metavar="FILE", help="the video or photo to ask about")
    parser.add_argument("--ask", type=question, metavar="QUESTION", help="ask once and exit")
    parser.add_argument("--max-new-tokens", type=whole(1), default=64)
    parser.set_defaults(module="pvchat.chat")


def evaluate(parser: argparse.ArgumentParser) -> None:
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


def compare(parser: argparse.ArgumentParser) -> None:
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


def report(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Writes one HTML file with everything in it: presence with its controls, open questions, curves, "
        "activation of heads, reliability of the scores, the worst mistakes with frames."
    )
    parser.add_argument("runs", metavar="RUNS", help="a tested run, or a folder of them")
    parser.add_argument("--out", metavar="FILE", help="default: RUNS/report.html")
    parser.set_defaults(module="pvchat.report_command")


def dashboard(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Builds a W&B workspace (attention, token curve, sparsity, training, cost, pictures, answers) and a "
        "report for the runs of a project, and saves both there. Without a server: --print or --out. Needs "
        "the extra `dashboard`."
    )
    parser.add_argument("--entity", metavar="NAME", help="user or team (default: yours)")
    parser.add_argument("--project", default="pvchat", metavar="NAME", help="default: pvchat")
    parser.add_argument("--print", action="store_true", help="print them as JSON, save nothing")
    parser.add_argument("--out", metavar="FILE", help="write them as JSON, save nothing")
    parser.set_defaults(module="pvchat.dashboard_command")


def rerun(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Trains and tests again what the record of a run says, in a folder of its own. On a CPU the metrics "
        "come out the same to the last bit. Where they do not (exit code 1), it says by how much, and what "
        "is no longer as it was: settings, code, packages, machine."
    )
    parser.add_argument("run", metavar="RUN", help="a tested run")
    parser.add_argument("--out", metavar="DIR", help="default: runs/NAME-rerun/ID, beside runs/NAME")
    parser.set_defaults(module="pvchat.rerun_command")


def sweep(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Runs the points of a W&B sweep file on this machine, by the commands that agents would run. Called "
        "again it goes on: what is finished is kept. Takes -c FILE and overrides for all points."
    )
    parser.add_argument("sweep", metavar="SWEEP", help="a sweep file, or the folder of a sweep to go on with")
    parser.add_argument("--out", metavar="DIR", help="default: runs/sweeps/NAME")
    parser.add_argument("--workers", type=whole(1), default=1, help="runs at a time (default: 1)")
    parser.add_argument("--base", metavar="FILE", help="experiment in place of the first one of the command")
    parser.add_argument(
        "--ray",
        nargs="?",
        const="",
        metavar="ADDRESS",
        help="by Ray Tune (extra `ray`): here, or on the cluster at ADDRESS that shares the folder",
    )
    parser.add_argument("--point", type=whole(1), metavar="N", help="run this point alone")
    parser.add_argument("--retry-failed", action="store_true", help="run points again that failed")
    parser.add_argument(
        "--plan", action="store_true", help="say what it costs and write a SLURM array script"
    )
    parser.add_argument("--device", choices=DEVICES, default="h100", help="of --plan (default: h100)")
    parser.add_argument("--hours-per-job", type=positive, metavar="H", help="of --plan: limit of a job")
    parser.set_defaults(module="pvchat.sweeping.sweep_command", takes_more=True)
