"""Where records come from: one file per format. A new format is a class with the members of ``Source``."""

from typing import Protocol

from pvchat.datamodules.manifest import Record
from pvchat.datamodules.sources.jsonl import ManifestSource
from pvchat.datamodules.sources.mc_llava import MCLLaVA
from pvchat.datamodules.sources.myvlm import MyVLM
from pvchat.datamodules.sources.pvchat_json import PVChatJSON
from pvchat.datamodules.sources.pvchat_release import PVChatRelease
from pvchat.datamodules.sources.this_is_my import ThisIsMy
from pvchat.datamodules.sources.webdataset import ShardSource
from pvchat.datamodules.sources.yollava import YoLLaVA

__all__ = [
    "MCLLaVA",
    "ManifestSource",
    "MyVLM",
    "PVChatJSON",
    "PVChatRelease",
    "ShardSource",
    "Source",
    "ThisIsMy",
    "YoLLaVA",
]


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
