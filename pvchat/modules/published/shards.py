"""Folders of safetensors: what is stored where, checked without reading a tensor; and written one by one.

The format is read and written by hand, since its libraries want a whole shard in memory to write it.
"""

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from pvchat.errors import UserError

INDEX = "model.safetensors.index.json"
DTYPES = {"BF16": torch.bfloat16, "F16": torch.float16, "F32": torch.float32, "I64": torch.int64}
NAMES = {dtype: name for name, dtype in DTYPES.items()}
SHARD_BYTES = 5_000_000_000


@dataclass(frozen=True)
class Stored:
    """A tensor in a file: its type (a key of DTYPES), its shape, and its bytes ``[start, stop)``."""

    path: Path
    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int

    def read(self) -> Tensor:
        """The tensor, in memory of its own."""
        data = bytearray(self.stop - self.start)
        with self.path.open("rb") as file:
            file.seek(self.start)
            if file.readinto(data) != len(data):
                raise UserError(f"{self.path} became shorter while it was read. Copy or download it again.")
        if not data:
            return torch.empty(self.shape, dtype=DTYPES[self.dtype])
        return torch.frombuffer(data, dtype=DTYPES[self.dtype]).view(self.shape)


@dataclass(frozen=True)
class Planned:
    """A tensor to be written."""

    name: str
    dtype: torch.dtype
    shape: tuple[int, ...]

    @property
    def num_bytes(self) -> int:
        return torch.Size(self.shape).numel() * self.dtype.itemsize


def read_folder(folder: str | Path) -> dict[str, Stored]:
    """Every tensor of a folder with an index, by name. Raises UserError if it is not whole."""
    folder = Path(folder)
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        places: dict[str, str] = dict(index["weight_map"])
        total = index["metadata"]["total_size"]
        shards = sorted({Path(place).name for place in places.values()})
        outside = sorted(place for place in set(places.values()) if Path(place).name != place)
    except OSError as error:
        raise UserError(f"a sharded checkpoint is a folder with {INDEX}: {folder} has none.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"cannot read {folder / INDEX}: it is damaged. Download it again.") from error
    if outside:
        raise UserError(
            f"an index names files beside it: {folder / INDEX} names {some(outside)}. Get it again."
        )
    if absent := [name for name in shards if not (folder / name).is_file()]:
        raise UserError(f"{len(absent)} of {len(shards)} shards are missing in {folder}: {some(absent)}.")
    stored: dict[str, Stored] = {}
    for shard in shards:
        here = read_file(folder / shard)
        expected = {name for name, place in places.items() if place == shard}
        if here.keys() != expected:
            differ = some(sorted(here.keys() ^ expected))
            raise UserError(f"{folder / shard} does not hold what its index says: {differ}. Get both again.")
        stored |= here
    if total != (found := sum(s.stop - s.start for s in stored.values())):
        raise UserError(f"{folder / INDEX} says {total} bytes, its shards hold {found}. Get both again.")
    return stored


def read_file(path: Path) -> dict[str, Stored]:
    """Every tensor of one file, by name. Raises UserError if it is truncated or no safetensors."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = 8 + int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(start - 8)) if start <= size else None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}.") from error
    except ValueError as error:
        raise UserError(f"{path} is no safetensors file, or damaged. Download it again.") from error
    if header is None:
        raise UserError(
            f"{path} is no whole safetensors file: it has {size} bytes. Download it again "
            "(a clone without Git LFS leaves such stubs)."
        )
    try:
        stored = {
            name: Stored(path, e["dtype"], tuple(e["shape"]), *(start + at for at in e["data_offsets"]))
            for name, e in header.items()
            if name != "__metadata__"
        }
    except (AttributeError, KeyError, TypeError) as error:
        raise UserError(f"{path} is no safetensors file, or damaged. Download it again.") from error
    if size != (stop := max((s.stop for s in stored.values()), default=start)):
        raise UserError(f"{path} is truncated or damaged: it has {size} of {stop} bytes. Download it again.")
    if stop - start != sum(s.stop - s.start for s in stored.values()):
        raise UserError(f"{path} is damaged: its tensors overlap. Download it again.")
    for name, s in stored.items():
        if s.dtype not in DTYPES or s.stop - s.start != Planned(name, DTYPES[s.dtype], s.shape).num_bytes:
            raise UserError(f"{path} holds {name} as {s.dtype}{list(s.shape)}, which does not fit its bytes.")
    return stored


def write_folder(
    folder: Path, plan: Sequence[Planned], read: Callable[[str], Tensor], *, shard_bytes: int = SHARD_BYTES
) -> None:
    """Write ``plan`` in shards with an index, one tensor in memory at a time; ``read`` gives it by name."""
    shards: list[list[Planned]] = [[]]
    for tensor in plan:
        if shards[-1] and sum(t.num_bytes for t in shards[-1]) + tensor.num_bytes > shard_bytes:
            shards.append([])
        shards[-1].append(tensor)
    check_room(folder, plan)
    places: dict[str, str] = {}
    for number, shard in enumerate(shards, start=1):
        name = f"model-{number:05}-of-{len(shards):05}.safetensors"
        write_file(folder / name, shard, read)
        places |= {tensor.name: name for tensor in shard}
    index = {
        "metadata": {"total_size": sum(tensor.num_bytes for tensor in plan)},
        "weight_map": dict(sorted(places.items())),
    }
    write_json(folder / INDEX, index)


def write_file(path: Path, plan: Sequence[Planned], read: Callable[[str], Tensor]) -> None:
    """Write one file, tensor by tensor; it takes its name when it is whole."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    at = 0
    ordered = sorted(plan, key=lambda tensor: -tensor.dtype.itemsize)  # keeps every tensor aligned
    for tensor in ordered:
        offsets = [at, at := at + tensor.num_bytes]
        header[tensor.name] = {
            "dtype": NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": offsets,
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with partial.open("wb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            for tensor in ordered:
                value = read(tensor.name)
                if tuple(value.shape) != tensor.shape:
                    raise ValueError(f"{tensor.name} must be {tensor.shape}: got {tuple(value.shape)}.")
                data = value.detach().to("cpu", tensor.dtype).contiguous().flatten().view(torch.uint8)
                file.write(data.numpy().data)
                del value, data  # before the next one is read
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_json(path: Path, content: Mapping[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def check_room(folder: Path, plan: Sequence[Planned]) -> None:
    """Raise UserError unless the disk of ``folder`` has room for ``plan``."""
    needed = sum(tensor.num_bytes for tensor in plan)
    folder.mkdir(parents=True, exist_ok=True)
    if needed > (free := shutil.disk_usage(folder).free):
        raise UserError(
            f"writing {folder} needs {needed / 1e9:.1f} GB: its disk has {free / 1e9:.1f} GB free. "
            "Choose another folder."
        )


def some(names: Sequence[str], limit: int = 5) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
