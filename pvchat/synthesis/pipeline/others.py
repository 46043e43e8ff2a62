"""Where other people come from: the user's gallery, or faces out of packages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pvchat.synthesis.likeness import Look
from pvchat.synthesis.roles import Adapter
from pvchat.synthesis.studio.actors import Actor


@dataclass(frozen=True)
class Others:
    """People who are none of the subjects, each a list of actors: ``lookalikes`` the likest first.
    ``impostors``: looks to calibrate the gate on; ``originals``: person -> clip or photo as it was taken."""

    strangers: Sequence[Sequence[Actor]]
    lookalikes: Sequence[Sequence[Actor]] = ()
    impostors: Sequence[Look] = ()
    originals: Mapping[str, Path] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


class OtherPeople(Protocol):
    """Finds other people."""

    @property
    def adapters(self) -> tuple[Adapter, ...]:
        """What they come from, with licences."""
        ...

    def check(self) -> None:
        """Raises UserError for what can be known to be wrong before anything long starts."""
        ...

    def find(self, own: Sequence[Actor], looks: Look, *, seed: int) -> Others:
        """People unlike ``looks``, embeddings of ``own``. Raises UserError if there are none."""
        ...
