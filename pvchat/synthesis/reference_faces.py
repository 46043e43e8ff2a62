"""From somebody's clips and photos to the best faces of one person: the first stage of a synthesis."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pvchat.datamodules.video import Times, frames_at, is_photo, spread_times
from pvchat.errors import UserError
from pvchat.faces import Face, FaceAnalyzer, Vector
from pvchat.synthesis.animation.face_mesh import FaceMesh
from pvchat.synthesis.contact_sheet import THUMB_PX, Reject
from pvchat.synthesis.face_quality import EYES_OPEN, OF_USUAL, FaceQuality, measure
from pvchat.synthesis.face_selection import Window, head_and_shoulders, spread
from pvchat.synthesis.likeness import check_one_person
from pvchat.synthesis.people import Person, Sighting, choose, group, sightings
from pvchat.synthesis.portraits import FaceChoiceError
from pvchat.synthesis.reference_files import reference_files

Frames = npt.NDArray[np.uint8]
LOOK_FPS = 8.0
MAX_FRAMES = 200
_LOOKS = 8  # embeddings of a clip that stand for it when files are compared
_USUAL_FROM = 5  # faces of a clip from which on it tells how open the eyes usually are
_CROWDED = 0.15  # of the score, for each other face in the crop

Progress = Callable[[int, int], None]
"""Is called with the frames that were searched and how many there are in all."""


@dataclass(frozen=True)
class ReferenceFace:
    """``frame`` (H, W, 3) uint8 RGB shows head and shoulders as large as the source does, at most 768 px;
    ``face`` is in its pixels, ``embedding`` (128,) is of that face. ``source_id`` names ``source`` and, of a
    clip, ``time_s``. ``others`` is how many other faces are in ``frame``."""

    source_id: str
    source: Path
    time_s: float
    frame: Frames
    face: Face
    embedding: Vector
    quality: FaceQuality
    others: int


@dataclass(frozen=True)
class FoundFaces:
    """``kept``: the best faces of the person, the best first. ``rejected``: those with a fault, in the order
    of files and times, and why. ``spare``: names of good ones that were not needed. ``notes``: what the user
    should know, a sentence each."""

    kept: tuple[ReferenceFace, ...]
    rejected: tuple[Reject, ...]
    spare: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Candidate:
    """A face of the person that was measured. ``thumb`` (128, 128, 3) is for the contact sheet."""

    file: Path
    time: float
    source_id: str
    sighting: Sighting
    quality: FaceQuality
    window: Window
    thumb: Frames
    odd: bool
    eyes_open: float = EYES_OPEN

    @property
    def reasons(self) -> tuple[str, ...]:
        odd = ("does not look like the person's other faces",) if self.odd else ()
        return (*self.quality.unusable, *odd, *self.quality.faults(self.eyes_open))

    @property
    def usable(self) -> bool:
        return not self.odd and not self.quality.unusable

    @property
    def score(self) -> float:
        return self.quality.score - _CROWDED * self.window.others


@dataclass(frozen=True)
class _Tools:
    times: dict[Path, Times]
    mesh: FaceMesh
    faces: FaceAnalyzer


def find_faces(
    paths: Sequence[str | Path],
    *,
    faces: FaceAnalyzer,
    mesh: FaceMesh,
    face: int | None = None,
    like: Sequence[str | Path] = (),
    count: int = 6,
    fps: float = LOOK_FPS,
    max_frames: int = MAX_FRAMES,
    progress: Progress = lambda done, total: None,
) -> FoundFaces:
    """Up to ``count`` of the best faces in ``paths``: clips, photos, folders of either.

    Where several people are seen the one meant is number ``face`` from the left, who looks ``like`` other
    photos, who looks like the only person of another file, or who is seen clearly most. ``fps`` frames a
    second are searched, ``max_frames`` of a clip. If no face is good, the best of those that can be used is
    kept, with a note. Raises UserError (FaceChoiceError where people have to be chosen), for files that
    cannot be read before any is searched."""
    files = reference_files(paths)
    times = {file: spread_times(file, fps=fps, at_most=max_frames) for file in files}
    wanted = [_only_person(photo, faces) for photo in (reference_files(like) if like else ())]
    total, done = sum(map(len, times.values())), 0

    def counted(file: Path) -> Iterator[Frames]:
        nonlocal done
        for frame in frames_at(file, times[file]):
            yield frame
            done += 1
            progress(done, total)

    names = _names(files)
    seen = {file: sightings(counted(file), faces) for file in files}
    people = {file: group(seen[file]) for file in files}
    notes = [f"{names[file]} shows no face and is left out." for file in files if not people[file]]
    meant = _meant(people, names, face, wanted, notes)
    tools = _Tools(times, mesh, faces)
    candidates = [
        candidate
        for file, person in meant.items()
        for candidate in _measured(file, names[file], seen[file], person, people[file], tools)
    ]
    kept = _best(candidates, count, notes)
    chosen = {id(c) for c in kept}
    others = [c for c in candidates if id(c) not in chosen]
    spare = tuple(c.source_id for c in others if not c.reasons)
    rejected = tuple(Reject(c.source_id, ", ".join(c.reasons), c.thumb[None]) for c in others if c.reasons)
    return FoundFaces(tuple(_cut(kept)), rejected, spare, tuple(notes))


def _names(files: Sequence[Path]) -> dict[Path, str]:
    """The shortest ends of the paths that tell ``files`` apart."""
    names = {}
    for file in files:
        ends = ("/".join(file.parts[-n:]) for n in range(1, len(file.parts) + 1))
        unique = (end for end in ends if sum(f"/{g.as_posix()}".endswith(f"/{end}") for g in files) == 1)
        names[file] = next(unique, file.as_posix())
    return names


def _only_person(photo: Path, faces: FaceAnalyzer) -> Vector:
    return choose(group(sightings(frames_at(photo, [0.0]), faces)), photo.name).embedding


def _meant(
    people: dict[Path, list[Person]],
    names: dict[Path, str],
    face: int | None,
    wanted: Sequence[Vector],
    notes: list[str],
) -> dict[Path, Person]:
    """Who is meant in each file that shows anybody. Adds to ``notes``. Raises UserError."""
    some = {file: found for file, found in people.items() if found}
    if not some:
        choose([], ", ".join(names[file] for file in people))
    alone = [found[0].embedding for found in some.values() if len(found) == 1]
    meant = {}
    for file, found in some.items():
        if wanted:
            meant[file] = choose(found, names[file], like=wanted)
        elif len(found) == 1 and len(some) > 1:
            meant[file] = found[0]  # a number is for the files that show several
        elif face is None and alone:
            meant[file] = _as_elsewhere(found, names[file], alone)
        else:
            meant[file] = choose(found, names[file], face=face)
        if len(found) > 1:
            place = 1 + sum(p.x < meant[file].x for p in found)
            notes.append(
                f"{names[file]} shows {len(found)} people: taken is number {place} from the left "
                "(another: --face N or --like PHOTO)."
            )
    looks = [[s.embedding for s in p.sightings[:: -(-len(p.sightings) // _LOOKS)]] for p in meant.values()]
    check_one_person([names[file] for file in meant], looks)
    return meant


def _as_elsewhere(found: Sequence[Person], name: str, alone: Sequence[Vector]) -> Person:
    try:
        return choose(found, name, like=alone)
    except FaceChoiceError:
        return choose(found, name)


def _measured(
    file: Path, name: str, seen: Sequence[Sighting], own: Person, others: Sequence[Person], tools: _Tools
) -> list[_Candidate]:
    """The faces of ``own`` in ``file``, and those like nobody's in frames that do not show ``own``."""
    grouped = {id(s) for person in others for s in person.sightings}
    shown = {s.frame: s for s in seen if id(s) not in grouped} | {s.frame: s for s in own.sightings}
    moments = sorted(shown)
    ours = {id(s) for s in own.sightings}
    candidates = []
    for moment, frame in zip(moments, frames_at(file, tools.times[file][moments]), strict=True):
        sighting, time = shown[moment], float(tools.times[file][moment])
        beside = [s.face for s in seen if s.frame == moment and s is not sighting]
        candidates.append(
            _Candidate(
                file,
                time,
                name if is_photo(file) else f"{name}@{time:.2f}s",
                sighting,
                measure(frame, sighting.face, mesh=tools.mesh, faces=tools.faces),
                head_and_shoulders(sighting.face, beside, frame.shape),
                tools.faces.crop(frame, sighting.face, THUMB_PX, margin=0.4),
                id(sighting) not in ours,
            )
        )
    return _judged(candidates)


def _judged(candidates: list[_Candidate]) -> list[_Candidate]:
    """The same with the eyes held against how open this person usually has them."""
    usual = [c.quality.eyes for c in candidates if c.usable]
    if len(usual) < _USUAL_FROM:
        return candidates
    eyes_open = max(EYES_OPEN, OF_USUAL * float(np.quantile(usual, 0.9)))
    return [replace(c, eyes_open=eyes_open) for c in candidates]


def _best(candidates: Sequence[_Candidate], count: int, notes: list[str]) -> list[_Candidate]:
    """The ones to keep, the best first. Adds to ``notes``. Raises UserError."""
    good = [c for c in candidates if not c.reasons]
    if not good:
        usable = [c for c in candidates if c.usable]
        if not usable:
            best = max(candidates, key=lambda c: (c.quality.size_px, c.score))
            raise UserError(
                f"a reference must show a face that can be used: the largest, in {best.source_id}, is "
                f"{', '.join(best.reasons)}. Give a clip or photo that shows the face larger and whole."
            )
        good = [min(usable, key=lambda c: (len(c.reasons), -c.score))]
        notes.append(
            f"No face is without fault: kept is the best of {len(usable)}, {', '.join(good[0].reasons)}."
        )
    at = spread([c.score for c in good], [str(c.file) for c in good], [c.time for c in good], count)
    kept = sorted((good[i] for i in at), key=lambda c: -c.score)
    if covered := sum(c.quality.covered for c in kept):
        notes.append(
            f"The eyes are dark in {covered} of {len(kept)} faces, as behind sunglasses: photos that show "
            "them make a better corpus."
        )
    if crowded := sum(c.window.others > 0 for c in kept):
        notes.append(f"Somebody else is in the picture in {crowded} of {len(kept)} faces.")
    return kept


def _cut(kept: Sequence[_Candidate]) -> list[ReferenceFace]:
    """The crops, each file read once."""
    made = {}
    for file in {c.file: None for c in kept}:
        own = sorted((c for c in kept if c.file == file), key=lambda c: c.time)
        for c, whole in zip(own, frames_at(file, [c.time for c in own]), strict=True):
            frame, face = c.window.cut(whole, c.sighting.face)
            made[id(c)] = ReferenceFace(
                c.source_id,
                file,
                c.time,
                frame,
                face,
                c.sighting.embedding,
                c.quality,
                c.window.others,
            )
    return [made[id(c)] for c in kept]
