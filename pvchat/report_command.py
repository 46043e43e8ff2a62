"""``pvchat report RUNS``: one page about a run, or about all runs below a folder."""

import argparse
from pathlib import Path

from pvchat.runs import write_text
from pvchat.scoring.run_page import render_runs
from pvchat.scoring.scored_runs import scored_runs


def main(options: argparse.Namespace) -> None:
    """Write the page and say where. Raises UserError."""
    root = Path(options.runs)
    runs = scored_runs(root)
    out = Path(options.out) if options.out else root / "report.html"
    out.parent.mkdir(parents=True, exist_ok=True)
    write_text(out, render_runs(f"pvchat: {root.absolute().name}", runs))
    print(f"{len(runs)} tested {'run' if len(runs) == 1 else 'runs'}: {out}")
