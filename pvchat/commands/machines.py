"""What a machine has and needs: pretrained parts, checkpoints, plans, checks."""

import argparse

from pvchat.commands.values import whole
from pvchat.planning.devices import DEVICES


def assets(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("list", "prefetch", "verify"), nargs="?", default="list")
    parser.add_argument("names", nargs="*", help="which (default: all)")
    parser.set_defaults(module="pvchat.assets.command")


def import_checkpoint(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Checks that a downloaded checkpoint is whole: names, shapes and bytes of all its tensors. With "
        "--out, writes it under the names of pvchat, which takes as much room again."
    )
    _checkpoint(parser)
    parser.add_argument("--out", metavar="DIR", help="convert it into this new folder")
    parser.set_defaults(module="pvchat.modules.published.importing", action="import")


def export_checkpoint(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Writes the layout of the published checkpoint, so that its own code reads what was trained: the "
        "checkpoint that training started from, with the weights of an adapter in their places. Routers, "
        "personal queries and token rows, which have none, go into pvchat_extra.safetensors (docs/data.md)."
    )
    _checkpoint(parser)
    parser.add_argument("--adapter", metavar="DIR", help="folder adapter/ of a run")
    parser.add_argument("--out", metavar="DIR", required=True, help="write into this new folder")
    parser.set_defaults(module="pvchat.modules.published.importing", action="export")


def plan(parser: argparse.ArgumentParser) -> None:
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


def lr_find(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Trains for some steps while all learning rates grow by one factor, writes the curve of the loss and "
        "suggests rates. Takes -c FILE and overrides as fit does; no run is made."
    )
    parser.add_argument("--steps", type=whole(20), default=100, help="optimizer steps (default: 100)")
    parser.add_argument("--least", type=float, default=1e-3, help="first factor (default: 0.001)")
    parser.add_argument("--most", type=float, default=100.0, help="last factor (default: 100)")
    parser.add_argument("--stage", choices=("image", "video"), help="default: the first one that there is")
    parser.add_argument("--out", default=".", metavar="DIR", help="for lr_find.png and lr_find.csv")
    parser.set_defaults(module="pvchat.lr_find", takes_more=True)


def doctor(parser: argparse.ArgumentParser) -> None:
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
