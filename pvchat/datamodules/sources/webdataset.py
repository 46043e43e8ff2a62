"""A packed corpus (``pvchat data pack``) as a source."""

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from filelock import FileLock

from pvchat.assets import cache_dir as user_cache
from pvchat.datamodules.manifest import Origin, Record, check_records, read_manifest
from pvchat.datamodules.packing import INDEX, Shard, ShardIndex, read_index, unpack
from pvchat.datamodules.sources.jsonl import name_of_data, trained_on
from pvchat.errors import UserError, writing


class ShardSource:
    """The clips of the shards in the folder ``path``. On first use each shard is checked by its sha256 and
    unpacked below ``cache_dir`` (default: ``shards`` in the user cache), once for all runs and processes.
    ``subjects`` and ``train_origins``, and all that is learned: as of ``ManifestSource``."""

    def __init__(
        self,
        path: Path,
        subjects: Sequence[str] | None = None,
        train_origins: Sequence[Origin] | None = None,
        cache_dir: Path | None = None,
    ) -> None:
        self.path, self._named = Path(path), tuple(subjects or ())
        self._origins = None if train_origins is None else tuple(train_origins)
        self.cache_dir = Path(cache_dir) if cache_dir else user_cache() / "shards"

    @property
    def subjects(self) -> tuple[str, ...]:
        return self._named or self._index.subjects

    @property
    def fingerprint(self) -> str:
        return name_of_data(self._index.manifest, self._origins)

    def records(self) -> list[Record]:
        return list(self._records)

    @cached_property
    def _index(self) -> ShardIndex:
        return read_index(self.path)

    @cached_property
    def _records(self) -> list[Record]:
        records: list[Record] = []
        for shard in self._index.shards:
            lines = read_manifest(
                self._unpacked(shard) / "manifest.jsonl", subjects=self.subjects, check_files=False
            )
            records += [replace(r, where=f"{shard.name}: {r.where}") for r in lines]
        check_records(records, subjects=self.subjects)
        return trained_on(records, self._origins)

    def _unpacked(self, shard: Shard) -> Path:
        """The folder of the clips of ``shard``, whole."""
        folder = self.cache_dir / shard.sha256[:16]
        with writing(self.cache_dir):
            self.cache_dir.mkdir(parents=True, exist_ok=True)
            with FileLock(folder.with_suffix(".lock")):
                if not folder.is_dir():
                    self._check(shard)
                    partial = folder.with_suffix(".partial")
                    shutil.rmtree(partial, ignore_errors=True)  # of a run that was killed
                    unpack(self.path / shard.name, partial)
                    partial.rename(folder)
        return folder

    def _check(self, shard: Shard) -> None:
        path = self.path / shard.name
        try:
            with open(path, "rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise UserError(
                f"the shard {path} cannot be read: {error.strerror}. {INDEX} lists it: copy it again."
            ) from error
        if found != shard.sha256:
            raise UserError(
                f"the shard {path} is damaged: {INDEX} says sha256 {shard.sha256[:16]}.., it has "
                f"{found[:16]}... Copy it again."
            )
