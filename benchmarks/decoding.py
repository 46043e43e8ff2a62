"""Seconds to prepare clips with and without workers that decode ahead.

    python -m benchmarks.decoding --media FOLDER

Without ``--media``, the clips of the demo corpus. The extractor sleeps: it stands for a GPU, whose work costs
no CPU, and says nothing about the speed of one. Both ways in turn, nothing cached.
"""

import argparse
import statistics
import time
from pathlib import Path

from pvchat.batch import Clip
from pvchat.datamodules.decoding import Decoder, DecodeSettings, decode_ahead
from pvchat.datamodules.manifest import Record
from pvchat.datamodules.video import VIDEOS
from pvchat.reporting.table import Cell, render_table
from pvchat.synthesis.demo import DemoCorpus


def main() -> None:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--media", type=Path, help="folder with videos")
    parser.add_argument("--most", type=int, default=24, help="clips at most")
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--extract_s", type=float, default=0.2, help="seconds that the stand-in sleeps")
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    records = _records(options.media)[: options.most]
    seconds: dict[int, list[float]] = {workers: [] for workers in options.workers}
    for _ in range(options.repeats):
        for workers in options.workers:
            seconds[workers].append(_prepare(records, options, workers))
    rows: list[list[Cell]] = [
        [f"{workers} workers", f"{statistics.median(s):.2f} ({min(s):.2f} to {max(s):.2f}) s"]
        for workers, s in seconds.items()
    ]
    head = [f"{len(records)} clips, simulated extractor {options.extract_s} s", "measured"]
    print(render_table(head, rows, style="markdown"))
    print(f"\n{options.repeats} repeats: median (least to most).")


def _records(media: Path | None) -> list[Record]:
    if media is None:
        return [r for r in DemoCorpus().records() if r.path.suffix in VIDEOS]
    paths = sorted(path for path in media.rglob("*") if path.suffix.lower() in VIDEOS)
    return [
        Record(
            id=path.stem,
            path=path,
            presence={},
            source_id=path.stem,
            background=None,
            clothes=None,
            origin="real",
            split="train",
            licence="",
            consent="",
            qa=(),
        )
        for path in paths
    ]


def _prepare(records: list[Record], options: argparse.Namespace, workers: int) -> float:
    decoder = Decoder(DecodeSettings(options.frames, 1280, "first"), None)
    begun = time.perf_counter()
    if workers:
        for _, clip in decode_ahead(decoder, records, workers):
            _extract(clip, options.extract_s)
    else:
        for record in records:
            _extract(decoder(record), options.extract_s)
    return time.perf_counter() - begun


def _extract(clip: object, seconds: float) -> None:
    """Stands for a GPU."""
    if isinstance(clip, Exception):
        raise clip
    assert isinstance(clip, Clip)
    time.sleep(seconds)


if __name__ == "__main__":
    main()
