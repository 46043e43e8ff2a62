"""Another manifest's test for a run that was trained on its own clips."""

import hashlib
from pathlib import Path

from pvchat.datamodules.manifest import Record, check_records, read_manifest
from pvchat.datamodules.sources import Source


class ForeignTest:
    """The test clips of the manifest ``test``; what trains and calibrates is that of ``source``, so that
    copies are found and the threshold stays what it was."""

    def __init__(self, source: Source, test: Path) -> None:
        self.source, self.test = source, Path(test)

    @property
    def subjects(self) -> tuple[str, ...]:
        return self.source.subjects

    @property
    def fingerprint(self) -> str:
        parts = self.source.fingerprint.encode() + self.test.read_bytes()
        return hashlib.sha256(parts).hexdigest()

    def records(self) -> list[Record]:
        """Raises UserError where the two label other subjects, or use the same ids."""
        test = [r for r in read_manifest(self.test, check_files=False) if r.split == "test"]
        records = [r for r in self.source.records() if r.split != "test"] + test
        check_records(records, subjects=self.subjects)
        return records
