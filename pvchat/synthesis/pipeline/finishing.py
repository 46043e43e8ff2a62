"""Filmed clips become a corpus: records, questions, manifest, contact sheet, statistics."""

from collections.abc import Sequence

from pvchat.datamodules.manifest import Record
from pvchat.synthesis.pipeline.filming import Clip
from pvchat.synthesis.pipeline.takes import A, S, Studio


def record_of(clip: Clip[A, S], studio: Studio[A, S], subjects: Sequence[str]) -> Record:
    """The manifest's line of a clip, without questions."""
    take, told = clip.take, studio.tell(clip.take.scene)
    return Record(
        id=take.id,
        path=clip.path,
        presence={name: name == take.subject for name in subjects},
        source_id=take.actor.source_id,
        background=told.background,
        clothes=told.clothes,
        motion=told.motion,
        origin="negative" if take.subject is None else studio.origin,
        split=take.split,
        licence=take.actor.licence,
        consent=take.actor.consent,
    )
