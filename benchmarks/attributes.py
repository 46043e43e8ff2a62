"""Does a model say what somebody wears, and where, in clips unlike those of the training?

    PVCHAT_MEDIA=... python -m benchmarks.attributes

Three tests of one training: combinations of place and colour that it never showed, places and colours that
it never showed at all, and real pictures labelled by hand (only with ``$PVCHAT_MEDIA``). The corpus is drawn
once; seeds are of the training.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from benchmarks.attribute_clips import build
from benchmarks.grid import Cell, run_grid
from pvchat.datamodules.manifest import read_manifest
from pvchat.datamodules.vocabulary import vocabulary
from pvchat.evaluation import summarise
from pvchat.faces import FaceAnalyzer
from pvchat.reporting.table import Cell as TableCell
from pvchat.reporting.table import render_table
from pvchat.runs import PREDICTIONS
from pvchat.scoring.answers import read_predictions

ROOT = Path(__file__).parents[1]
CONFIGS = (ROOT / "experiments" / "laptop.yaml", ROOT / "experiments" / "bench" / "attributes.yaml")
TESTS = {"combinations": "unseen combinations", "new": "unseen places and colours", "real": "real pictures"}
KINDS = {"appearance": "colour", "location": "place"}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--workers", type=int, default=1, help="runs at a time, one thread each")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "bench")
    options = parser.parse_args()
    manifest = options.out / "corpora" / "attributes" / "manifest.jsonl"
    if not manifest.is_file():
        media = os.environ.get("PVCHAT_MEDIA")
        build(manifest.parent, seed=0, media=Path(media) if media else None, faces=FaceAnalyzer())
    cells = [
        Cell({"seed": str(seed)}, CONFIGS, (f"--seed_everything={seed}",), manifest)
        for seed in range(options.seeds)
    ]
    results = run_grid(cells, options.out / "runs", workers=options.workers)
    runs = [numbers(options.out / "runs" / cell.key / PREDICTIONS, manifest) for cell, _ in results]
    seconds = [found["seconds/fit"] + found["seconds/test"] for _, found in results]
    text = f"{report(runs)}\n\n{len(runs)} runs, {sum(seconds) / len(seconds):.0f} s a run on one thread."
    print(text)
    (options.out / "attributes.md").write_text(text + "\n")


def numbers(predictions: Path, manifest: Path) -> dict[str, float]:
    """Metrics ``{test}/{control}/{metric}`` of the predictions of a run."""
    words = vocabulary(read_manifest(manifest))
    rows = read_predictions(predictions)
    return {
        f"{test}/{name}": value
        for test in TESTS
        for name, value in summarise(
            [row for row in rows if row.clip_id.startswith(f"{test}-")], threshold=0.0, vocabulary=words
        ).items()
    }


def report(runs: Sequence[dict[str, float]]) -> str:
    """One row for each test and kind of question: mean over the runs, least and most; chance beside it."""
    rows: list[list[TableCell]] = []
    for test, title in TESTS.items():
        for kind, word in KINDS.items():
            key = f"{test}/main/{kind}_named"
            if key in runs[0]:
                rows.append(
                    [
                        title,
                        word,
                        int(runs[0][f"{key}_questions"]),
                        _spread([run[key] for run in runs]),
                        runs[0][f"{key}_majority"],
                        runs[0][f"{key}_uniform"],
                        _spread([run[f"{test}/text_only/{kind}_named"] for run in runs]),
                    ]
                )
    header = ["test", "of", "questions", "named", "constant", "uniform", "text only"]
    return render_table(header, rows, digits=2, style="markdown")


def _spread(values: Sequence[float]) -> str:
    return f"{sum(values) / len(values):.2f} ({min(values):.2f} to {max(values):.2f})"


if __name__ == "__main__":
    main()
