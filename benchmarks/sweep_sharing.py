"""Runs of a sweep share decoded clips and features: what is left of the preparation from the second run on?

    python -m benchmarks.sweep_sharing --manifest corpus/manifest.jsonl

Prepares the training clips of the first points of ``sweeps/tokens.yaml`` one after the other, each with its
own model and an empty cache before the first, and prints the seconds of each and the ratio to the first.
"""

import argparse
import tempfile
import time
from pathlib import Path

from pvchat import lightning_cli
from pvchat.lightning_cli import PVChatCLI
from pvchat.sweeping.sweep_file import read_sweep

ROOT = Path(__file__).parents[1]


class PreparingCLI(PVChatCLI):
    """Everything of ``fit`` up to the first step."""

    def _run_subcommand(self, subcommand: str) -> None:
        started = time.perf_counter()
        self.datamodule.setup("fit")
        self.seconds = time.perf_counter() - started


def main() -> None:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=3)
    options, more = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder:
        seconds = prepare(options.manifest, Path(folder), count=options.runs, more=more)
    for number, value in enumerate(seconds, 1):
        print(f"run {number}: {value:.3f} s, {value / seconds[0]:.4f} of the first")


def prepare(manifest: Path, folder: Path, *, count: int, more: list[str]) -> list[float]:
    """Seconds in which each of the first ``count`` runs has its clips ready."""
    fixed = [*more, f"--data.source.path={manifest}", f"--data.cache_dir={folder / 'cache'}"]
    sweep = read_sweep(ROOT / "sweeps" / "tokens.yaml", more=fixed)
    seconds = []
    for values in sweep.points()[:: len(sweep.points()) // count][:count]:
        command = sweep.command(values)
        words = [*command[command.index("fit") :], f"--run_dir={folder / 'run'}"]
        cli = lightning_cli.run(words, PreparingCLI)
        assert isinstance(cli, PreparingCLI)
        seconds.append(cli.seconds)
    return seconds


if __name__ == "__main__":
    main()
