"""``pvchat data check``: what a manifest holds and what is wrong with it; ``data pack``, ``data compose``."""

import argparse
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import get_args

from pvchat.datamodules.manifest import QA, Origin, Record, Split, read_manifest
from pvchat.datamodules.packing import pack
from pvchat.errors import UserError
from pvchat.reporting.table import render_table
from pvchat.subjects import split_mentions
from pvchat.synthesis.composition import Composition, compose_corpus
from pvchat.synthesis.splits import Shared, find_leaks

_MOST_FAULTS, _MOST_OPENINGS = 10, 12
_QUESTIONS = (
    "clips", "all", "existence: yes", "existence: no", "appearance", "action", "location", "general",
    "when", "who",
)  # fmt: skip


def main(options: argparse.Namespace) -> None:
    """Do what ``options.action`` says. Raises UserError if there is no such file."""
    path = Path(options.manifest)
    if not path.is_file():
        raise UserError(
            f"a manifest must be a file: {path} does not exist. Give the path of a manifest.jsonl."
        )
    if options.action == "check":
        check(path, options.allow)
        return
    if options.action == "compose":
        compose(path, options)
        return
    index = pack(path, options.out, shard_mb=options.shard_mb)
    clips, size = sum(s.clips for s in index.shards), sum(s.num_bytes for s in index.shards)
    print(f"{clips} clips in {len(index.shards)} shards, {size / 1e6:.1f} MB: {options.out}")


def compose(path: Path, options: argparse.Namespace) -> None:
    """Write the corpus that ``options`` ask for, and say what is in it. Raises UserError."""
    composition = Composition(
        count=options.count,
        held_out=options.held_out,
        parts=options.parts,
        seconds=tuple(options.seconds),
        people=tuple(options.people),
        seed=options.seed,
    )
    records = compose_corpus(
        read_manifest(path), Path(options.out), composition, subjects=options.subject, allow=options.allow
    )
    print("\n\n".join(describe(records)))
    print(f"\n{Path(options.out) / 'manifest.jsonl'}")


def check(path: Path, allow: Sequence[Shared]) -> None:
    """Print tables and faults; exit with 1 if there are any."""
    try:
        records = read_manifest(path)
    except UserError as error:
        print(f"fault: {error}")
        raise SystemExit(1) from error
    print("\n\n".join(describe(records)))
    leaks = find_leaks(records, allow=allow)
    kinds = Counter(leak.shared for leak in leaks)
    print()
    for leak in leaks[:_MOST_FAULTS]:
        print(f"fault: {leak}")
    if len(leaks) > _MOST_FAULTS:
        print(f"fault: .. and {len(leaks) - _MOST_FAULTS} more.")
    for kind in kinds:
        print(f"--allow {kind} accepts {kinds[kind]} of them.")
    print(f"faults: {len(leaks)}")
    if leaks:
        raise SystemExit(1)


def describe(records: Sequence[Record]) -> list[str]:
    """Tables of what is in which split, who is shown, and how existence answers open."""
    splits = [split for split in get_args(Split) if any(r.split == split for r in records)]
    parts = {split: [r for r in records if r.split == split] for split in splits} | {"all": list(records)}

    def table(title: str, columns: Sequence[str], count: Callable[[list[Record]], Counter[str]]) -> str:
        counts = {name: count(part) for name, part in parts.items()}
        return render_table(
            [title, *columns], [[name, *(c[k] for k in columns)] for name, c in counts.items()]
        )

    return [
        table("questions", _QUESTIONS, _count_questions),
        table("origins", get_args(Origin), lambda part: Counter(r.origin for r in part)),
        table("on screen", [*records[0].presence, "none of them"], _count_people),
        _openings([qa for r in records for qa in r.qa if qa.type == "existence"]),
    ]


def _count_questions(records: list[Record]) -> Counter[str]:
    asked = [qa for record in records for qa in record.qa]
    kinds = Counter(f"existence: {qa.polarity}" if qa.polarity else qa.type for qa in asked)
    return kinds + Counter({"clips": len(records), "all": len(asked)})


def _count_people(records: list[Record]) -> Counter[str]:
    shown = Counter(name for r in records for name, there in r.presence.items() if there)
    return shown + Counter({"none of them": sum(not any(r.presence.values()) for r in records)})


def _openings(asked: Sequence[QA]) -> str:
    """First words of existence answers, and how often the truth behind each is yes: near 0.5, or the
    opening tells the answer, as only Yes, No, Both, Neither and None should."""
    counts = Counter(_opening(qa.answer) for qa in asked)
    yes = Counter(_opening(qa.answer) for qa in asked if qa.polarity == "yes")
    common = counts.most_common(_MOST_OPENINGS)
    return render_table(
        ["existence answers open with", "share", "of these yes"],
        [[word, n / len(asked), yes[word] / n] for word, n in common],
    )


def _opening(answer: str) -> str:
    first = split_mentions(answer)[0]
    return "<name>" if first.startswith("<") else first.split()[0].strip(".,;:!").capitalize()
