"""``pvchat compare A B``: do two runs, groups of runs, or systems differ by more than chance?"""

import argparse
from dataclasses import asdict
from pathlib import Path

from pvchat.runs import write_json, write_text
from pvchat.scoring.comparison import compare_groups, render_comparison
from pvchat.scoring.scored_runs import scored_runs


def main(options: argparse.Namespace) -> None:
    """Print the table; with ``--out`` keep it. Raises UserError."""
    a, b = (scored_runs(path, manifest=options.data) for path in (options.a, options.b))
    found = compare_groups(a, b)
    print(f"A: {options.a} ({_many(options.a, len(a))})\nB: {options.b} ({_many(options.b, len(b))})\n")
    print(render_comparison(found))
    if options.out:
        out = Path(options.out)
        out.mkdir(parents=True, exist_ok=True)
        write_text(out / "comparison.md", render_comparison(found, style="markdown") + "\n")
        write_json(out / "comparison.json", {"a": str(options.a), "b": str(options.b), **asdict(found)})
        print(f"\nKept in {out}: comparison.md, comparison.json")


def _many(path: str, count: int) -> str:
    if Path(path).is_file():
        return "answers"
    return "1 run" if count == 1 else f"{count} runs"
