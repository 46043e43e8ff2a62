"""What a corpus is made of and what becomes of it."""

import argparse
from functools import partial
from typing import Any

from pvchat.commands.values import whole
from pvchat.synthesize_command import AboutSubject, SubjectAction


def synthesize(parser: argparse.ArgumentParser) -> None:
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
    own("--face", type=whole(1), metavar="N", help="which person of the reference, from left, first is 1")
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
    parser.add_argument("--workers", type=whole(1), default=1, help="processes that film (default: 1)")
    parser.add_argument(
        "--ray",
        nargs="?",
        const="",
        metavar="ADDRESS",
        help="film on Ray (extra `ray`): here, or on the cluster at ADDRESS that shares the folder",
    )
    parser.add_argument("--seed", type=whole(0, 2**32 - 1), default=0)
    parser.add_argument("--print-config", action="store_true", help="print the resolved recipe and exit")
    parser.set_defaults(module="pvchat.synthesize_command", takes_more=True)


def data(parser: argparse.ArgumentParser) -> None:
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
        "--shard-mb", type=whole(1), default=256, metavar="MB", help="the most of a shard (default: 256)"
    )
    compose(add("compose", help="a corpus of when and who does what, out of the clips of another"))
    parser.set_defaults(module="pvchat.data_command")


def compose(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Joins the clips of a manifest, of each split alone, so that it is known exactly when who appears: "
        "one after another, and side by side where the manifest says what each person does or wears."
    )
    parser.add_argument("manifest", metavar="MANIFEST", help="a manifest.jsonl")
    parser.add_argument("--out", metavar="DIR", required=True, help="write into this new folder")
    parser.add_argument(
        "--subject", action="append", default=[], metavar="NAME", help="whose appearances (default: all)"
    )
    parser.add_argument("--count", type=whole(1), default=40, metavar="N", help="training videos of a kind")
    parser.add_argument(
        "--held-out", type=whole(1), default=16, metavar="N", help="validation and test videos of a kind"
    )
    parser.add_argument(
        "--parts", type=whole(0), default=4, metavar="N", help="clips one after another (0: none)"
    )
    parser.add_argument(
        "--seconds", type=float, nargs=2, default=(1.0, 3.0), metavar=("FROM", "TO"), help="of a clip"
    )
    parser.add_argument(
        "--people", type=whole(2), nargs="+", default=[], metavar="N", help="as many side by side, as in 2 3"
    )
    parser.add_argument(
        "--allow",
        choices=("source", "background"),
        action="append",
        default=[],
        help="what test clips may share with others (may be repeated)",
    )
    parser.add_argument("--seed", type=whole(0, 2**32 - 1), default=0)


def forget(parser: argparse.ArgumentParser) -> None:
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
