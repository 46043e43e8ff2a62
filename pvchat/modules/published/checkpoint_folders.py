"""InternVideo2-Chat-8B-HD on disk, as published or as imported, checked whole before a tensor is read."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from pvchat.errors import UserError
from pvchat.modules.published.key_table import BASE, Part, PublishedKey, PublishedSizes, Shape, key_table
from pvchat.modules.published.shards import INDEX, Stored, read_file, read_folder, some
from pvchat.modules.weightless import weightless

LANGUAGE_MODEL, RECORD = "language_model", "import.json"
FILES: tuple[Part, ...] = ("encoder", "bridge", "lora", "unused")  # the language model is a folder


class Source(Protocol):
    """Pretrained tensors under our names."""

    folder: Path
    sizes: PublishedSizes
    digests: Mapping[str, str]
    """Of the tensors as they were imported, by our names; empty if it is not known."""

    def read(self, name: str) -> Tensor:
        """The tensor that we call ``name``, in memory of its own."""


class PublishedCheckpoint:
    """A folder in the published layout. Raises UserError unless every tensor is there, with its shape."""

    def __init__(self, folder: str | Path, *, sizes: PublishedSizes | None = None) -> None:
        self.folder, self.sizes = Path(folder), sizes or PublishedSizes()
        self.digests: Mapping[str, str] = {}
        table = key_table(self.sizes)
        self._stored = read_folder(folder)
        self._pieces: dict[str, list[PublishedKey]] = {}
        for key in sorted(table, key=lambda key: key.first_row):
            self._pieces.setdefault(key.ours, []).append(key)
        expected = {key.published: key.shape for key in table}
        check_shapes(f"the checkpoint {folder}", shapes_of(self._stored), expected, advice="Get it again.")
        for key in table:
            kind = self._stored[key.published].dtype
            if (kind == "I64") != key.is_positions:
                raise UserError(f"{key.published} is {kind} in {folder}, not as published. Get it again.")
            last = key.our_shape[0] - 1
            if key.is_positions and not torch.equal(self.read(key.ours), torch.arange(last + 1)):
                raise UserError(f"{key.published} must be 0..{last}: {folder} has others. Download it again.")

    def read(self, name: str) -> Tensor:
        pieces = self._pieces[name]
        parts = [self._stored[key.published].read().flatten() for key in pieces]
        return (parts[0] if len(parts) == 1 else torch.cat(parts)).view(pieces[0].our_shape)


class ImportedCheckpoint:
    """A folder that ``convert`` wrote, under our names. Raises UserError unless it is whole."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        try:
            record = json.loads((self.folder / RECORD).read_text(encoding="utf-8"))
            self.sizes = PublishedSizes(**record["sizes"])
            self.digests: Mapping[str, str] = dict(record.get("digests", {}))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"cannot read {self.folder / RECORD}. Make the folder again with pvchat import-checkpoint."
            ) from error
        self._stored: dict[str, Stored] = {}
        for part in FILES:
            self._stored |= read_file(self.folder / f"{part}.safetensors")
        base = read_folder(self.folder / LANGUAGE_MODEL)
        self._stored |= {BASE + name: stored for name, stored in base.items()}
        table = {key.ours: key.our_shape for key in key_table(self.sizes)}
        advice = "Make it again with pvchat import-checkpoint."
        check_shapes(f"the folder {folder}", shapes_of(self._stored), table, advice=advice)

    def read(self, name: str) -> Tensor:
        return self._stored[name].read()


class UnreadCheckpoint:
    """A checkpoint for a model without weights: as large as what lies in the folder, or as published."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.digests: Mapping[str, str] = {}
        imported = (self.folder / RECORD).is_file()
        self.sizes = ImportedCheckpoint(folder).sizes if imported else PublishedSizes()
        self._shapes = {key.ours: key.our_shape for key in key_table(self.sizes)}

    def read(self, name: str) -> Tensor:
        return torch.empty(self._shapes[name], dtype=torch.bfloat16)


def open_checkpoint(folder: str | Path, *, sizes: PublishedSizes | None = None) -> Source:
    """A folder of either kind. Raises UserError if it is neither or not whole."""
    if weightless():
        return UnreadCheckpoint(folder)
    if (Path(folder) / RECORD).is_file():
        return ImportedCheckpoint(folder)
    if (Path(folder).parent / RECORD).is_file() and Path(folder).name == LANGUAGE_MODEL:
        raise UserError(
            f"{folder} is the language model of a checkpoint. Give the whole: {Path(folder).parent}."
        )
    if not (Path(folder) / INDEX).is_file():
        raise UserError(
            f"a checkpoint is a folder with {RECORD} (imported) or {INDEX} (published): {folder} has "
            "none. See pvchat import-checkpoint --help."
        )
    return PublishedCheckpoint(folder, sizes=sizes)


def shapes_of(stored: Mapping[str, Stored]) -> dict[str, Shape]:
    return {name: tensor.shape for name, tensor in stored.items()}


def check_shapes(
    what: str, found: Mapping[str, Shape], expected: Mapping[str, Shape], *, advice: str
) -> None:
    """Raise UserError unless ``found`` has the names and shapes of ``expected``."""
    faults = {
        "missing": sorted(expected.keys() - found.keys()),
        "unknown": sorted(found.keys() - expected.keys()),
        "of another shape": [
            f"{name} {list(found[name])} for {list(shape)}"
            for name, shape in sorted(expected.items())
            if name in found and found[name] != shape
        ],
    }
    if any(faults.values()):
        listed = "; ".join(f"{len(n)} {fault}: {some(n)}" for fault, n in faults.items() if n)
        raise UserError(f"{what} does not fit InternVideo2-Chat-8B-HD: {listed}. {advice}")
