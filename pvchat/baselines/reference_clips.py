"""Which training clips introduce a person."""

from collections.abc import Sequence

from pvchat.batch import TrainingClip
from pvchat.errors import UserError


def references_of(clips: Sequence[TrainingClip], name: str) -> list[TrainingClip]:
    """Clips that show ``name``: those of the reference split, of a corpus without any all training clips; of
    these, those that show nobody else who is known, if there are any. Raises UserError if there is none."""
    showing = [clip for clip in clips if clip.presence.get(name)]
    if not showing:
        raise UserError(f"a reference of {name!r} is needed: no training clip shows them. Add one.")
    chosen = [clip for clip in showing if clip.is_reference] or showing
    return [clip for clip in chosen if sum(clip.presence.values()) == 1] or chosen
