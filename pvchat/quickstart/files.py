"""The files a user brings to the quickstart: which are clips or photos, which are there twice."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pvchat.datamodules.video import MEDIA, clip_times, content_hash, is_photo
from pvchat.errors import UserError

LEAST_PEOPLE = 4
LEAST_SECONDS, LEAST_FRAMES = 2.0, 16
"""Of a recording that is cut in time: its parts must show different moments."""


@dataclass(frozen=True)
class OwnFiles:
    """References of the subject, files of other people by name, and ``notes`` on what is not used."""

    reference: list[Path]
    people: dict[str, list[Path]]
    notes: list[str]


def own_files(reference: Sequence[str], negatives: str) -> OwnFiles:
    """Clips and photos among the named files and in the named folders, each content once.

    A sub-folder of ``negatives`` is one person, so is a file beside it. Raises UserError."""
    notes: list[str] = []
    ignored: list[str] = []
    twice: list[str] = []
    seen: dict[str, Path] = {}
    mine = _once([f for place in reference for f in _media(Path(place), ignored)], seen, twice)
    if not mine:
        raise UserError(f"--reference needs a clip or photos: {', '.join(reference)} holds none.")
    if (clip := recording(mine)) is not None:
        check_length(clip)
    known = dict(seen)
    people: dict[str, list[Path]] = {}
    for entry in sorted(e for e in Path(negatives).iterdir() if not e.name.startswith(".")):
        if entry.is_dir() or entry.suffix.lower() in MEDIA:
            people[entry.name] = _media(entry, ignored)
        else:
            ignored.append(entry.name)
    empty = [name for name, files in people.items() if not files]
    own = [name for name, files in people.items() if any(content_hash(f) in known for f in files)]
    people = {name: files for name, files in people.items() if name not in own}
    people = {name: once for name, files in people.items() if (once := _once(files, seen, twice))}
    if ignored:
        notes.append(f"Ignored, by their names no clips or photos: {len(ignored)} ({listed(ignored)}).")
    if empty:
        notes.append(f"Ignored, folders without clips or photos: {len(empty)} ({listed(empty)}).")
    if own:
        notes.append(f"Left out of the other people, holding a reference: {len(own)} ({listed(own)}).")
    if twice:
        notes.append(f"Used once, although given twice: {len(twice)} ({listed(twice)}).")
    if len(people) < LEAST_PEOPLE:
        raise UserError(
            f"--negatives needs at least {LEAST_PEOPLE} other people, a file or sub-folder each, to train "
            f"and test on different ones: {negatives} has {len(people)}. {' '.join(notes)}".rstrip()
        )
    return OwnFiles(mine, people, notes)


def recording(files: Sequence[Path]) -> Path | None:
    """The one recording that is cut in time, where the subject is known from little else."""
    clips = [f for f in files if not is_photo(f)]
    return clips[0] if len(clips) == 1 and len(files) < 3 else None


def check_length(clip: Path) -> float:
    """Seconds of a recording that is cut in time. Raises UserError if its parts would be the same."""
    times = clip_times(clip)
    if times[-1] < LEAST_SECONDS or len(times) < LEAST_FRAMES:
        raise UserError(
            "a recording is learned from its first half and tested on its last third, so it must last "
            f"{LEAST_SECONDS:g} s and have {LEAST_FRAMES} frames: {clip.name} lasts {times[-1]:.2f} s and "
            f"has {len(times)}. Give a longer one, or photos saved as jpg or png."
        )
    return float(times[-1])


def listed(names: Sequence[str], most: int = 6) -> str:
    """``a, b and 3 more``."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _media(place: Path, ignored: list[str]) -> list[Path]:
    """``place`` itself, or the clips and photos in that folder and below; the names of others are noted."""
    if not place.is_dir():
        return [place]
    inside = sorted(f for f in place.rglob("*") if f.is_file())
    inside = [f for f in inside if not any(p.startswith(".") for p in f.relative_to(place).parts)]
    ignored += [f.name for f in inside if f.suffix.lower() not in MEDIA]
    return [f for f in inside if f.suffix.lower() in MEDIA]


def _once(files: Sequence[Path], seen: dict[str, Path], twice: list[str]) -> list[Path]:
    """``files`` whose content is not among those ``seen``, which are noted."""
    new = []
    for file in files:
        first = seen.setdefault(content_hash(file), file)
        if first is file:
            new.append(file)
        else:
            twice.append(" = ".join("/".join(f.parts[-2:]) for f in (file, first)))
    return new
