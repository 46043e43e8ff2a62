"""The published layout -> files under our names, and what we trained -> the published layout."""

import math
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from pvchat.errors import UserError
from pvchat.modules.published.checkpoint_folders import FILES, LANGUAGE_MODEL, RECORD, Source, check_shapes
from pvchat.modules.published.digests import check_base, digest
from pvchat.modules.published.key_table import (
    BASE,
    NAME,
    PublishedKey,
    key_table,
    mistral_config,
    published_name,
)
from pvchat.modules.published.released_names import released
from pvchat.modules.published.shards import (
    SHARD_BYTES,
    Planned,
    check_room,
    write_file,
    write_folder,
    write_json,
)

EXTRA = "pvchat_extra.safetensors"
TOKENIZER = ("tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json")


def convert(source: Source, out: str | Path, *, shard_bytes: int = SHARD_BYTES) -> list[str]:
    """Write ``source`` under our names: a file per part, and a language model that transformers loads.

    Returns the names of the tokenizer's files, copied if they are there. Raises UserError without room."""
    out = _fresh(out)
    table = {key.ours: key for key in key_table(source.sizes)}
    plan = {
        part: [Planned(name, _dtype(key), key.our_shape) for name, key in table.items() if key.part == part]
        for part in (*FILES, LANGUAGE_MODEL)
    }
    check_room(out, [tensor for tensors in plan.values() for tensor in tensors])
    digests: dict[str, str] = {}

    def read(name: str) -> Tensor:
        value = source.read(name)
        digests[name] = digest(value)
        return value

    for part in FILES:
        write_file(out / f"{part}.safetensors", plan[part], read)
    base = [Planned(t.name.removeprefix(BASE), t.dtype, t.shape) for t in plan[LANGUAGE_MODEL]]
    folder = out / LANGUAGE_MODEL
    write_folder(folder, base, lambda name: read(BASE + name), shard_bytes=shard_bytes)
    write_json(folder / "config.json", mistral_config(source.sizes))
    copied = _copy_tokenizer(source, folder)
    write_json(out / RECORD, {"format": 1, "name": NAME, "sizes": asdict(source.sizes), "digests": digests})
    return copied


def export(
    source: Source,
    out: str | Path,
    trained: Mapping[str, Tensor],
    *,
    recorded: str | None = None,
    shard_bytes: int = SHARD_BYTES,
) -> list[str]:
    """Write the published layout, in bf16: ``source``, with what is ``trained`` (our names) in its place, and
    the tokenizer if it is there.

    What has no place there goes into EXTRA beside it, in the type it has: routers and personal queries as
    the released code names them, token rows and what else is ours under our names. Returns these names.
    ``recorded`` is the ``base_digest`` of the run. Raises UserError if something trained has another shape
    than published, or ``source`` is not what the run started from."""
    table = {key.published: key for key in key_table(source.sizes)}
    shapes = {key.ours: key.our_shape for key in table.values()}
    named = {published_name(name): value for name, value in trained.items()}
    ours = {name: tuple(value.shape) for name, value in named.items() if name in shapes}
    expected = {name: shapes[name] for name in ours}
    check_shapes("what was trained", ours, expected, advice="Give the checkpoint that it started from.")
    check_base(source, ours, recorded)
    out = _fresh(out)

    def read(name: str) -> Tensor:
        key = table[name]
        whole = named[key.ours] if key.ours in named else source.read(key.ours)
        first = key.first_row * math.prod(key.our_shape[1:])
        return whole.flatten()[first : first + math.prod(key.shape)].view(key.shape)

    plan = [Planned(name, _dtype(key), key.shape) for name, key in sorted(table.items())]
    write_folder(out, plan, read, shard_bytes=shard_bytes)
    _copy_tokenizer(source, out)
    extra = dict(released(name, named[name]) for name in sorted(named.keys() - shapes.keys()))
    if extra:
        kept = [Planned(name, value.dtype, tuple(value.shape)) for name, value in extra.items()]
        write_file(out / EXTRA, kept, extra.__getitem__)
    return sorted(extra)


def _copy_tokenizer(source: Source, out: Path) -> list[str]:
    """It is beside the shards as published, in the language model's folder as imported."""
    found = [f / name for f in (source.folder, source.folder / LANGUAGE_MODEL) for name in TOKENIZER]
    copied = [path for path in found if path.is_file()]
    for path in copied:
        shutil.copyfile(path, out / path.name)
    return [path.name for path in copied]


def _dtype(key: PublishedKey) -> torch.dtype:
    return torch.int64 if key.is_positions else torch.bfloat16


def _fresh(out: str | Path) -> Path:
    """A folder that holds nothing yet: what is there might be what is being read."""
    out = Path(out)
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise UserError(f"a checkpoint is written into a new or empty folder: {out} is neither.")
    return out
