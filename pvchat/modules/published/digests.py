"""Digests of a checkpoint's tensors: is a copy whole, and is it the one that training started from?"""

import hashlib
from collections.abc import Collection, Iterator, Mapping

import torch
from torch import Tensor

from pvchat.errors import UserError
from pvchat.modules.published.checkpoint_folders import Source
from pvchat.modules.published.key_table import key_table
from pvchat.modules.published.shards import some


def digest(value: Tensor) -> str:
    """Of a tensor as it is stored: bf16, or int64."""
    stored = value if value.dtype == torch.int64 else value.bfloat16()
    return hashlib.sha256(stored.contiguous().flatten().view(torch.uint8).numpy().data).hexdigest()[:16]


def base_digest(digests: Mapping[str, str], trained: Collection[str]) -> str:
    """Of all tensors that are not ``trained``, given the digest of each."""
    frozen = sorted((name, value) for name, value in digests.items() if name not in trained)
    return hashlib.sha256(repr(frozen).encode()).hexdigest()[:16]


def check_base(source: Source, trained: Collection[str], recorded: str | None) -> None:
    """Raise UserError unless ``source`` is what training started from, but for what is ``trained``. A run
    that did not start from an imported checkpoint has nothing ``recorded``."""
    if recorded is None:
        return
    digests = source.digests or dict(_digests(source))
    if base_digest(digests, trained) != recorded:
        raise UserError(
            f"a run is exported onto the checkpoint it started from: {source.folder} is another one. "
            "Give the folder that config.yaml of the run names as pretrained."
        )


def check_copy(source: Source) -> int:
    """Number of tensors, all of them as imported; raises UserError if one is not. Reads all of it."""
    if different := [name for name, value in _digests(source) if value != source.digests.get(name)]:
        raise UserError(
            f"{len(different)} of {len(source.digests)} tensors in {source.folder} are not as imported: "
            f"{some(different)}. Copy the folder again."
        )
    return len(source.digests)


def _digests(source: Source) -> Iterator[tuple[str, str]]:
    for name in dict.fromkeys(key.ours for key in key_table(source.sizes)):
        yield name, digest(source.read(name))
