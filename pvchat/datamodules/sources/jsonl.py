"""Our own format: a manifest."""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from pvchat.datamodules.manifest import Record, read_manifest


class ManifestSource:
    """The clips of the manifest at ``path`` (docs/data.md). ``subjects``: who must be labelled, in which
    order (default: as the first line has them)."""

    def __init__(self, path: str | Path, subjects: Sequence[str] | None = None) -> None:
        self.path, self._named = Path(path), tuple(subjects or ())

    @property
    def subjects(self) -> tuple[str, ...]:
        return self._named or tuple(self._records[0].presence)

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(self.path.read_bytes()).hexdigest()

    def records(self) -> list[Record]:
        return list(self._records)

    @cached_property
    def _records(self) -> list[Record]:
        return read_manifest(self.path, subjects=self._named or None, check_files=False)
