"""Our own format: a manifest."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from pvchat.datamodules.manifest import TRAINED, Origin, Record, read_manifest
from pvchat.errors import UserError


class ManifestSource:
    """The clips of the manifest at ``path`` (docs/data.md). ``subjects``: who must be labelled, in which
    order (default: as the first line has them); ``num_subjects``: the first of them alone, the others are
    strangers. ``train_origins``: train on clips of these origins alone (paper, table 4: what each type of
    data adds); validation and test keep all."""

    def __init__(
        self,
        path: str | Path,
        subjects: Sequence[str] | None = None,
        train_origins: Sequence[Origin] | None = None,
        num_subjects: int | None = None,
    ) -> None:
        self.path, self._named = Path(path), tuple(subjects or ())
        self._origins = None if train_origins is None else tuple(train_origins)
        self._num_subjects = num_subjects

    @property
    def subjects(self) -> tuple[str, ...]:
        return (self._named or tuple(self._records[0].presence))[: self._num_subjects]

    @property
    def fingerprint(self) -> str:
        name = name_of_data(hashlib.sha256(self.path.read_bytes()).hexdigest(), self._origins)
        return name if self._num_subjects is None else f"{name}-{self._num_subjects}"

    def records(self) -> list[Record]:
        return list(self._records)

    @cached_property
    def _records(self) -> list[Record]:
        records = read_manifest(self.path, subjects=self._named or None, check_files=False)
        if self._num_subjects is not None:
            records = asked_about(records, self._named or tuple(records[0].presence), self._num_subjects)
        return trained_on(records, self._origins)


def name_of_data(manifest: str, origins: Sequence[Origin] | None) -> str:
    """Fingerprint of the clips of a manifest with the sha256 ``manifest`` when trained on ``origins``."""
    return (
        manifest if origins is None else hashlib.sha256(f"{manifest} {sorted(origins)}".encode()).hexdigest()
    )


def trained_on(records: list[Record], origins: Sequence[Origin] | None) -> list[Record]:
    """``records`` without the training clips of other origins."""
    return [r for r in records if origins is None or r.split not in TRAINED or r.origin in origins]


def asked_about(records: Sequence[Record], subjects: Sequence[str], count: int) -> list[Record]:
    """``records`` as if the first ``count`` of ``subjects`` alone were known: the others are strangers. Clips
    that nothing is asked about then are left out. Raises UserError where there are not as many."""
    if not 1 <= count <= len(subjects):
        raise UserError(f"num_subjects must be in 1..{len(subjects)}, as many as are labelled: got {count}.")
    known = set(subjects[:count])
    found = [
        replace(
            record,
            presence={name: seen for name, seen in record.presence.items() if name in known},
            qa=tuple(qa for qa in record.qa if known.issuperset(qa.subjects)),
        )
        for record in records
    ]
    return [record for record in found if record.qa]
