"""Where records come from: one file per format. A new format is a class with the members of ``Source``."""

from typing import Protocol

from pvchat.datamodules.manifest import Record
from pvchat.datamodules.sources.jsonl import ManifestSource
from pvchat.datamodules.sources.pvchat_json import PVChatJSON
from pvchat.datamodules.sources.webdataset import ShardSource

__all__ = ["ManifestSource", "PVChatJSON", "ShardSource", "Source"]


class Source(Protocol):
    """Clips with their questions, whatever they are stored as."""

    @property
    def subjects(self) -> tuple[str, ...]:
        """Names of the persons the clips are labelled for."""
        ...

    @property
    def fingerprint(self) -> str:
        """Names the labels: another fingerprint, another data set."""
        ...

    def records(self) -> list[Record]:
        """All clips of all splits; a file may be missing, the datamodule deals with that."""
        ...
