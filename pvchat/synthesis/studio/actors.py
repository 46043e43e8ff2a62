"""Who plays in a scene: a photo of a person, and their rights in it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class Actor:
    """``photo`` (H, W, 3) uint8 RGB shows ``person``, ``source_id`` names the file."""

    person: str
    source_id: str
    photo: npt.NDArray[np.uint8]
    licence: str = "not stated"
    consent: str = "not stated"

    @property
    def moves(self) -> bool:
        """False: it is a photo."""
        return False
