"""Are colours and places in the frozen features at all? A linear probe on the patches of the first frame.

    python -m benchmarks.attribute_probe

On the corpus of ``benchmarks.attributes``, which builds it. What a probe reaches there, a model could.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

from benchmarks.attributes import KINDS, ROOT, TESTS
from pvchat.datamodules.manifest import Record, read_manifest
from pvchat.datamodules.video import decode
from pvchat.datamodules.vocabulary import vocabulary
from pvchat.metrics.functional.naming import Vocabulary, named
from pvchat.modules.vision import EmbeddedViT
from pvchat.reporting.table import Cell, render_table

STRENGTH = 0.01  # inverse of the penalty: there are more features than clips


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "bench")
    options = parser.parse_args()
    records = read_manifest(options.out / "corpora" / "attributes" / "manifest.jsonl")
    words, features = vocabulary(records), embed(records)
    rows: list[list[Cell]] = [
        [title, KINDS[kind], *probe(records, features, kind, words[kind], test)]
        for test, title in TESTS.items()
        for kind in ("appearance", "location")
    ]
    print(render_table(["test", "of", "clips", "linear probe"], rows, digits=2, style="markdown"))


def embed(records: list[Record]) -> Mapping[str, np.ndarray]:
    """Clip -> its patches as a row (L * D,), as the laptop experiment sees them."""
    encoder = EmbeddedViT(num_late_blocks=0)
    frames = {r.id: decode(r.path, num_frames=1, start_s=r.start_s, end_s=r.end_s).frames for r in records}
    return {
        clip: encoder.embed(torch.from_numpy(shown).permute(0, 3, 1, 2)).flatten().numpy()
        for clip, shown in frames.items()
    }


def probe(
    records: list[Record], features: Mapping[str, np.ndarray], kind: str, words: Vocabulary, test: str
) -> tuple[int, float]:
    """Clips of ``test`` of which the truth is known, and on how many of them the probe is right."""
    truth = {r.id: named((r.clothes if kind == "appearance" else r.place) or "", words) for r in records}
    known = {clip: next(iter(values)) for clip, values in truth.items() if len(values) == 1}
    train, tested = ([c for c in known if c.startswith(f"{part}-")] for part in ("train", test))
    seen = np.stack([features[c] for c in train])
    mean, std = seen.mean(0), seen.std(0) + 1e-5
    model = LogisticRegression(C=STRENGTH, max_iter=300).fit((seen - mean) / std, [known[c] for c in train])
    asked = (np.stack([features[c] for c in tested]) - mean) / std
    return len(tested), float(model.score(asked, [known[c] for c in tested]))


if __name__ == "__main__":
    main()
