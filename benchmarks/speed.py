"""Seconds a step, an epoch with and without the caches, and peak memory of the laptop experiment.

    python -m benchmarks.speed

Both ways in one process, in turn, several times. Without the caches every question decodes its clip and runs
the frozen encoder, the face detector and the face embedding again, as the released code does.
"""

import argparse
import platform
import resource
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from pvchat.batch import Batch, Features
from pvchat.datamodules.clip_store import ClipStore, Variant
from pvchat.datamodules.manifest import Record
from pvchat.lightning_cli import PVChatCLI, run
from pvchat.reporting.table import Cell, render_table
from pvchat.stages import StageName
from pvchat.training import PersonalizedVideoChat

ROOT = Path(__file__).parents[1]


class NoStore(ClipStore):
    """Decodes and extracts whenever asked."""

    def features(self, record: Record, variant: Variant = "main") -> Features:
        clip = self.decoder(record)
        return self.extractor(clip, blank_faces=variant == "face_blanked")


def main() -> None:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--steps", type=int, default=4, help="steps of a repeat")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        cli = _untrained(Path(folder))
        cold, warm = (_prepare(cli, Path(folder) / "measured") for _ in range(2))
        seconds = _steps(cli, options.repeats, options.steps)
    rows: list[list[Cell]] = [["prepare all clips, first run", f"{cold:.1f} s"]]
    rows.append(["prepare all clips, second run", f"{warm:.2f} s ({cold / warm:.0f} times faster)"])
    for (stage, cached), values in seconds.items():
        rows.append([f"step of the {stage} stage, {'with' if cached else 'without'} caches", _spread(values)])
    for stage in ("image", "video"):
        pairs = zip(seconds[stage, False], seconds[stage, True], strict=True)
        ratio = [without / cached for without, cached in pairs]
        epoch = 0 if stage == "image" else cli.datamodule.stages.image.epochs
        count = cli.datamodule.steps_per_epoch(epoch)
        whole = [count * statistics.median(seconds[stage, cached]) for cached in (False, True)]
        rows.append(
            [
                f"epoch of the {stage} stage, {count} such steps: without, with caches",
                f"{whole[0]:.0f} s, {whole[1]:.0f} s",
            ]
        )
        rows.append([f"epoch of the {stage} stage, without over with caches", _spread(ratio, "times")])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
        1e9 if platform.system() == "Darwin" else 1e6
    )
    rows.append(["peak memory", f"{peak:.2f} GB"])
    print(render_table(["laptop experiment", "measured"], rows, style="markdown"))
    print(f"\n{platform.machine()}, {options.threads} threads, torch {torch.__version__}, ", end="")
    print(f"{options.repeats} repeats: median (least to most).")


def _untrained(folder: Path) -> PVChatCLI:
    """The laptop experiment on the demo corpus, set up but not trained."""
    return run(
        [
            "fit",
            f"--config={ROOT / 'experiments' / 'laptop.yaml'}",
            "--data.source=pvchat.synthesis.demo.DemoCorpus",
            f"--data.cache_dir={folder / 'cache'}",
            f"--runs={folder}",
            "--trainer.max_steps=0",
            "--trainer.enable_progress_bar=false",
        ]
    )


def _prepare(cli: PVChatCLI, cache: Path) -> float:
    """Seconds to decode and extract all training clips, or to find them in ``cache``."""
    cli.datamodule.cache_dir = str(cache)
    cli.datamodule.attach(cli.model.chat.views.extractor, cli.model.chat.registry)
    begun = time.perf_counter()
    cli.datamodule.setup("fit")
    return time.perf_counter() - begun


def _steps(cli: PVChatCLI, repeats: int, steps: int) -> dict[tuple[StageName, bool], list[float]]:
    """Seconds a step for (stage, cached), one value a repeat, measured in turn."""
    module, data = cli.model.train(), cli.datamodule
    kept = data.store
    none = NoStore(
        kept.frames.root.parent, extractor=kept.extractor, settings=kept.settings, keep_frames=False
    )
    epochs: dict[StageName, int] = {"image": 0, "video": data.stages.image.epochs}
    optimizer = torch.optim.AdamW([p for p in module.parameters() if p.requires_grad], lr=1e-5)
    seconds: dict[tuple[StageName, bool], list[float]] = {}
    for repeat in range(-1, repeats):  # the first one warms up
        for stage, epoch in epochs.items():
            trainable = data.stages.at(epoch).trainable
            for name, parameters in module.chat.parameter_groups().items():
                for parameter in parameters:
                    parameter.requires_grad_(name in trainable)
            for cached in (True, False):
                loader = data.epoch_loader(epoch)
                loader.questions.store = kept if cached else none
                begun = time.perf_counter()
                for _, batch in zip(range(steps), loader, strict=False):
                    _step(module, optimizer, batch)
                if repeat >= 0:
                    seconds.setdefault((stage, cached), []).append((time.perf_counter() - begun) / steps)
    return seconds


def _step(module: PersonalizedVideoChat, optimizer: torch.optim.Optimizer, batch: Batch) -> None:
    out = module.chat(batch)
    module.objective(out.logits, out.labels, out.first, out.routings, out.presence).total.backward()
    optimizer.step()
    optimizer.zero_grad()


def _spread(values: Sequence[float], unit: str = "s") -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f}) {unit}"


if __name__ == "__main__":
    main()
