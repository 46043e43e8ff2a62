"""A finished corpus as WebDataset shards: tar files whose samples are a clip and its line of the manifest.

The folder holds ``shard-000000.tar``, .. and ``index.json``. A sample is ``KEY.mp4`` (or another suffix) and
``KEY.json``, side by side; KEY is the clip's id, spelled so that it has no dot, at which WebDataset cuts."""

import hashlib
import io
import json
import os
import shutil
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pvchat.datamodules.manifest import Record, read_manifest, to_line
from pvchat.errors import UserError, writing

INDEX, FORMAT_VERSION = "index.json", 1
_LONGEST_KEY = 150  # file names may have 255 bytes
_BLOCK = 512  # of a tar file


@dataclass(frozen=True)
class Shard:
    """A tar file of ``clips`` samples."""

    name: str
    sha256: str
    num_bytes: int
    clips: int


@dataclass(frozen=True)
class ShardIndex:
    """What ``index.json`` says: who is labelled, the sha256 of the packed ``manifest``, the shards."""

    subjects: tuple[str, ...]
    manifest: str
    shards: tuple[Shard, ...]


def pack(manifest: str | Path, out: str | Path, *, shard_mb: int = 256) -> ShardIndex:
    """Pack the clips of ``manifest`` into the new folder ``out``, in order, a shard at most ``shard_mb`` MB
    (10^6 bytes) large unless one clip is. Same corpus, same bytes; ``out`` is there whole or not at all. A
    file that several lines cut is packed with each of them. Raises UserError."""
    manifest, out = Path(manifest), Path(out)
    if shard_mb < 1:
        raise UserError(f"shard_mb must be >= 1: got {shard_mb}.")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"shards need a folder of their own: {out} is there and not empty. Choose another.")
    records = read_manifest(manifest)
    partial = out.with_name(f".{out.name}.{os.getpid()}")
    with writing(out):
        try:
            partial.mkdir(parents=True)
            shards = [
                _write(partial / f"shard-{n:06d}.tar", some)
                for n, some in enumerate(_split(records, shard_mb * 10**6))
            ]
            seen = hashlib.sha256(manifest.read_bytes()).hexdigest()
            index = ShardIndex(tuple(records[0].presence), seen, tuple(shards))
            text = json.dumps({"format_version": FORMAT_VERSION, **asdict(index)}, indent=2) + "\n"
            (partial / INDEX).write_text(text, encoding="utf-8")
            if out.exists():
                out.rmdir()
            partial.rename(out)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return index


def read_index(folder: str | Path) -> ShardIndex:
    """The index of a folder of shards. Raises UserError where it is missing or not one."""
    path = Path(folder) / INDEX
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data.pop("format_version") != FORMAT_VERSION:
            raise ValueError
        shards = tuple(Shard(**shard) for shard in data.pop("shards"))
        if any(Path(shard.name).name != shard.name for shard in shards):
            raise ValueError
        return ShardIndex(tuple(data.pop("subjects")), data.pop("manifest"), shards)
    except OSError as error:
        raise UserError(
            f"a folder of shards holds {INDEX}: {path} cannot be read ({error.strerror}). Give a folder that "
            "pvchat data pack wrote."
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path} is not an index that this pvchat reads. Pack the corpus again, or copy the file again."
        ) from error


def unpack(shard: Path, folder: Path) -> None:
    """Write the clips of ``shard`` into the new ``folder``, with a ``manifest.jsonl`` of its lines. Raises
    UserError where the shard holds anything but samples."""
    folder.mkdir(parents=True)
    lines: list[bytes] = []
    try:
        with tarfile.open(shard, "r:") as tar:
            for member in tar:
                file = tar.extractfile(member) if member.isreg() else None
                if file is None or Path(member.name).name != member.name:
                    raise UserError(f"{shard} holds {member.name!r}, which is no sample. Pack it again.")
                if member.name.endswith(".json"):
                    lines.append(file.read() + b"\n")
                    continue
                with open(folder / member.name, "xb") as clip:
                    shutil.copyfileobj(file, clip)
    except tarfile.TarError as error:
        raise UserError(f"{shard} cannot be read: {error}. Copy it again.") from error
    (folder / "manifest.jsonl").write_bytes(b"".join(lines))


def _split(records: Sequence[Record], most: int) -> Iterator[list[Record]]:
    """Runs of ``records`` whose tar files are at most ``most`` bytes large."""
    some: list[Record] = []
    size = 0
    for record in records:
        own = record.path.stat().st_size + len(_line(record, "")) + 6 * _BLOCK
        if some and size + own > most:
            yield some
            some, size = [], 0
        some.append(record)
        size += own
    yield some


def _write(path: Path, records: Sequence[Record]) -> Shard:
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for record in records:
            key = _key(record.id)
            name = key + record.path.suffix.lower()
            with open(record.path, "rb") as clip:
                tar.addfile(_member(name, os.fstat(clip.fileno()).st_size), clip)
            line = _line(record, name)
            tar.addfile(_member(f"{key}.json", len(line)), io.BytesIO(line))
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Shard(path.name, digest, path.stat().st_size, len(records))


def _member(name: str, size: int) -> tarfile.TarInfo:
    """Owner, time and mode are the same for everybody: a tar file is a function of what is in it."""
    member = tarfile.TarInfo(name)
    member.size = size
    return member


def _line(record: Record, name: str) -> bytes:
    """The line of the manifest, with its path as ``name`` beside it."""
    here = Path.cwd()
    line: dict[str, Any] = to_line(replace(record, path=here / name), here)
    return json.dumps(line, ensure_ascii=False).encode()


def _key(clip_id: str) -> str:
    """``clip_id`` as a part of a file name without dots; a long one is cut and told apart by its hash."""
    key = quote(clip_id, safe=" ").replace(".", "%2E")
    if len(key) > _LONGEST_KEY:
        key = f"{key[:_LONGEST_KEY]}-{hashlib.sha256(clip_id.encode()).hexdigest()[:8]}"
    return key
