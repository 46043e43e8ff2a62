"""``pvchat import-checkpoint`` and ``pvchat export-checkpoint``: a published checkpoint, on screen."""

import argparse
import json
import math
from pathlib import Path

from torch import Tensor

from pvchat.errors import UserError
from pvchat.modules.published.checkpoint_folders import Source, open_checkpoint
from pvchat.modules.published.exchange import EXTRA, convert, export
from pvchat.modules.published.key_table import NAME, PublishedSizes, key_table
from pvchat.modules.published.shards import read_file, some

CHECKPOINTS = {NAME: PublishedSizes()}
ADAPTER, ADAPTER_RECORD = "adapter.safetensors", "adapter.json"


def main(options: argparse.Namespace) -> None:
    """Check, convert or write back. Raises UserError, before anything is written, on a bad checkpoint."""
    if options.name not in CHECKPOINTS:
        raise UserError(f"no checkpoint is called {options.name!r}; known: {sorted(CHECKPOINTS)}.")
    if options.action == "export":
        _export(options)
        return
    checkpoint = open_checkpoint(options.path, sizes=CHECKPOINTS[options.name])
    print(summary(checkpoint))
    if options.out is None:
        print("The checkpoint is whole. Convert it with --out DIR.")
        return
    copied = convert(checkpoint, options.out)
    print(f"Written to {options.out}.")
    if not any(name.startswith("tokenizer.") for name in copied):
        print(
            f"{options.path} has no tokenizer: put the one of Mistral-7B-Instruct-v0.3 into "
            f"{Path(options.out) / 'language_model'}."
        )


def summary(source: Source) -> str:
    """A line for each part: tensors, parameters, bytes."""
    lines = []
    table = key_table(source.sizes)
    for part in dict.fromkeys(key.part for key in table):
        keys = [key for key in table if key.part == part]
        numbers = sum(math.prod(key.shape) for key in keys if not key.is_positions)
        size = sum(key.num_bytes for key in keys)
        lines.append(f"{part:16} {len(keys):5,} tensors {numbers:15,} parameters {size / 1e9:7.3f} GB")
    total = sum(key.num_bytes for key in table)
    return "\n".join([*lines, f"{'in all':16} {len(table):5,} tensors, {total:,} bytes"])


def _export(options: argparse.Namespace) -> None:
    source = open_checkpoint(options.path, sizes=CHECKPOINTS[options.name])
    trained, recorded = ({}, None) if options.adapter is None else _adapter(Path(options.adapter))
    extra = export(source, options.out, trained, recorded=recorded)
    print(f"Written to {options.out}: {len(trained) - len(extra)} trained tensors in their places.")
    if extra:
        print(f"{len(extra)} have none there and are in {EXTRA}: {some(extra)}.")


def _adapter(folder: Path) -> tuple[dict[str, Tensor], str | None]:
    """What was trained, and what is recorded of the checkpoint that training started from."""
    try:
        record = json.loads((folder / ADAPTER_RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"an adapter is a folder with {ADAPTER} and {ADAPTER_RECORD}: cannot read those of {folder}. "
            "Give RUN/adapter."
        ) from error
    stored = read_file(folder / ADAPTER)
    return {name: tensor.read() for name, tensor in stored.items()}, record.get("checkpoint")
