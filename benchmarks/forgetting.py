"""What does a model forget while it learns a person? General questions before and after the training.

    python -m benchmarks.forgetting

The person of the quickstart, whose corpus is drawn once; seeds are of the training, by the laptop's config.
Asked are clips without the person, and the language model alone (``pvchat evaluate --forgetting``). What is
finished is kept; the same command goes on.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.grid import Cell
from pvchat.faces import FaceAnalyzer
from pvchat.lightning_cli import run
from pvchat.quickstart.material import default_material
from pvchat.reporting.table import Cell as TableCell
from pvchat.reporting.table import render_table
from pvchat.retention.retention_report import HEADER, LABELS, Retention, read
from pvchat.retention_command import main as ask_before_and_after
from pvchat.runs import ADAPTER
from pvchat.statistics import Interval
from pvchat.synthesis.builder import CorpusSettings, build_corpus
from pvchat.synthesis.pipeline.takes import SplitSize
from pvchat.synthesis.questions import QuestionCounts

ROOT = Path(__file__).parents[1]
CONFIGS = (ROOT / "experiments" / "laptop.yaml", ROOT / "experiments" / "attention" / "remoh.yaml")
SETTINGS = CorpusSettings(
    train=SplitSize(24, 2),
    validation=SplitSize(2),
    test=SplitSize(16),
    questions=QuestionCounts(existence=2, general=3),
)


def main() -> None:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "bench")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    manifest = options.out / "corpora" / "forgetting" / "manifest.jsonl"
    if not manifest.is_file():
        material = default_material(faces=FaceAnalyzer(), seed=0)
        build_corpus(
            subjects=[material.subject],
            positives={material.subject: material.positives},
            negatives=material.negatives,
            out=manifest.parent,
            seed=0,
            settings=SETTINGS,
        )
    found = []
    for seed in range(options.seeds):
        cell = Cell({"seed": str(seed)}, CONFIGS, (f"--seed_everything={seed}",), manifest)
        folder = options.out / "runs" / cell.key
        if not (folder / ADAPTER).is_dir():
            _fit(cell, folder)
        if read(folder) is None:
            ask_before_and_after(folder, None, folder)
        retention = read(folder)
        assert retention is not None
        found.append(retention)
        print("\n".join([f"seed {seed}:", *retention.sentences]), flush=True)
    text = report(found)
    print(text)
    (options.out / "forgetting.md").write_text(text + "\n")


def report(found: Sequence[Retention]) -> str:
    """A table for each group of questions: means over the runs, differences with least and most."""
    tables = []
    for groups in zip(*(r.groups for r in found), strict=True):
        rows: list[list[TableCell]] = []
        for name in groups[0].numbers:
            changes = [group.numbers[name] for group in groups]
            moved = [c.after - c.before for c in changes]
            judged = [c.difference for c in changes if isinstance(c.difference, Interval)]
            below, above = sum(d.high < 0 for d in judged), sum(d.low > 0 for d in judged)
            rows.append(
                [
                    LABELS[name],
                    sum(c.before for c in changes) / len(changes),
                    sum(c.after for c in changes) / len(changes),
                    f"{sum(moved) / len(moved):+.3f} ({min(moved):+.3f} to {max(moved):+.3f})",
                    f"{below} lower, {above} higher",
                ]
            )
        header = [groups[0].heading, *HEADER[1:], "beyond chance"]
        tables.append(render_table(header, rows, style="markdown"))
    return "\n\n".join([*tables, f"{len(found)} runs."])


def _fit(cell: Cell, folder: Path) -> None:
    run(
        [
            "fit",
            *(f"--config={c}" for c in cell.configs),
            f"--data.source.path={cell.manifest}",
            f"--run_dir={folder}",
            "--trainer.enable_progress_bar=false",
            *cell.overrides,
        ]
    )


if __name__ == "__main__":
    main()
