"""``pvchat forget SUBJECT --corpus DIR``: remove a subject, and prove it."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pvchat.assets import cache_dir
from pvchat.errors import UserError
from pvchat.runs import CONFIG, RECORD, read_config, read_record
from pvchat.synthesis.forgetting import forget
from pvchat.synthesis.traces import Caches


def main(options: argparse.Namespace) -> None:
    """Print what went, what was searched, and what stays; exit with 1 if anything is left."""
    corpus = Path(options.corpus)
    runs = list(_runs(Path(options.runs), options.subject))
    used = [Path(cache) for _, _, data in runs if (cache := data.get("cache_dir"))]
    caches = Caches(cache_dir(), used)
    done = forget(options.subject, corpus, caches=caches, entire=options.yes)
    print(f"removed: {', '.join(f'{n} {what}' for what, n in sorted(done.gone.items())) or 'nothing'}")
    print(f"searched: {done.searched} files of {corpus}, {caches.root}{''.join(f', {c}' for c in used)}")
    for path in done.outside:
        print(f"stays: {path} is outside of the corpus. Delete it yourself.")
    for folder, record, data in runs:
        if record.get("data") == done.data or _is_in(data, corpus):
            print(
                f"stays: the run {folder} learned {options.subject}. Delete the folder to forget that, too."
            )
    for what in done.left:
        print(f"left: {what}")
    print(f"left of {options.subject}: {len(done.left)}")
    if done.left:
        raise SystemExit(1)


def _runs(root: Path, subject: str) -> Iterator[tuple[Path, dict[str, Any], dict[str, Any]]]:
    """Runs about ``subject``: folder, record, and data settings of the config."""
    for path in sorted(root.glob(f"**/{RECORD}")):
        try:
            record, config = read_record(path.parent), read_config(path.parent / CONFIG)
        except UserError:
            continue
        if subject in record.get("subjects", ()):
            yield path.parent, record, config.get("data") or {}


def _is_in(data: dict[str, Any], corpus: Path) -> bool:
    path = ((data.get("source") or {}).get("init_args") or {}).get("path")
    return isinstance(path, str) and Path(path).resolve().is_relative_to(corpus.resolve())
