"""Who the subject must not be mistaken for: other people, each once, none of them the subject."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pvchat.datamodules.video import is_photo
from pvchat.errors import UserError
from pvchat.faces import SAME_PERSON, FaceAnalyzer, Vector
from pvchat.quickstart.files import LEAST_PEOPLE, listed
from pvchat.synthesis.likeness import alike, distance, look
from pvchat.synthesis.portraits import FaceChoiceError, Portrait, clip_portraits, photo_portraits


@dataclass
class Stranger:
    """Another person: portraits, face embeddings, and the files they come from."""

    portraits: list[Portrait] = field(default_factory=list)
    look: list[Vector] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)


def find_strangers(
    people: Mapping[str, Sequence[Path]],
    own: Sequence[Vector],
    subject: str,
    faces: FaceAnalyzer,
    done: Callable[[], object],
    notes: list[str],
) -> list[Stranger]:
    """The other people, each once. ``notes`` is told who was left out and who was taken for one person."""
    unclear: list[str] = []
    found: dict[str, Stranger] = {}
    for name, files in people.items():
        stranger = found[name] = Stranger()
        for file in files:
            try:
                portraits = portraits_of(file, name, faces=faces, face=None, count=2)
            except FaceChoiceError as error:
                unclear.append(f"{file.name} ({error.found or 'no'} face{'s' if error.found else ''})")
            else:
                stranger.files.append(file)
                stranger.portraits += portraits
                stranger.look += look(portraits, faces)
            done()
    away = {name: distance(own, stranger.look) for name, stranger in found.items()}
    alike_subject = [f"{name} ({d:.2f})" for name, d in away.items() if d < SAME_PERSON]
    found = {name: s for name, s in found.items() if s.files and away[name] >= SAME_PERSON}
    left_out = []
    names = list(found)
    if unclear:
        left_out.append(f"{len(unclear)} without one clear face: {listed(unclear)}")
    if alike_subject:
        left_out.append(
            f"{len(alike_subject)} who look like {subject} (distance below {SAME_PERSON:g}): "
            f"{listed(alike_subject)}"
        )
    groups = alike([s.look for s in found.values()], SAME_PERSON)
    remaining = [" = ".join(names[i] for i in group) for group in groups]
    if len(groups) < LEAST_PEOPLE:
        raise UserError(
            f"--negatives needs at least {LEAST_PEOPLE} other people to train and test on different ones: "
            f"{len(groups)} remain ({listed(remaining) or 'nobody'}). "
            f"Left out: {'; '.join(left_out) or 'nobody'}. "
            "Add photos or clips that show one other person each."
        )
    notes += [f"Left out of the other people, {text}." for text in left_out]
    if alike_subject:
        notes.append(f"So the test does not show whether {subject} is told from people who look alike.")
    merged = [text for text, group in zip(remaining, groups, strict=True) if len(group) > 1]
    if merged:
        notes.append(f"Look alike and are taken for one person each: {listed(merged)}.")
    return [_merged(names[group[0]], [found[names[i]] for i in group]) for group in groups]


def _merged(name: str, same: Sequence[Stranger]) -> Stranger:
    """Look-alikes as one person, so that nobody is in two splits."""
    return Stranger(
        [replace(p, person=name) for stranger in same for p in stranger.portraits],
        [vector for stranger in same for vector in stranger.look],
        [file for stranger in same for file in stranger.files],
    )


def portraits_of(
    file: Path, person: str, *, faces: FaceAnalyzer, face: int | None, count: int
) -> list[Portrait]:
    """Of a photo one, of a clip up to ``count``."""
    if is_photo(file):
        return photo_portraits(file, faces=faces, person=person, face=face)
    return clip_portraits(file, faces=faces, person=person, face=face, count=count)
