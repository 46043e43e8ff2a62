"""The files of references: photos and clips, named or in folders, opened before any long work."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pvchat.datamodules.video import MEDIA, frames_at, spread_times
from pvchat.errors import UserError


@dataclass(frozen=True)
class Opened:
    """``files`` that can be read. ``notes``: which others of their folders cannot, a sentence each."""

    files: list[Path]
    notes: list[str]


def opened(references: Sequence[Sequence[str | Path]]) -> list[Opened]:
    """The files of each of ``references`` whose first frame can be seen. Raises UserError that names all
    which cannot be read and were given by name, or in a folder of nothing else."""
    groups = [[reference_files([path]) for path in paths] for paths in references]
    files = dict.fromkeys(file for group in groups for some in group for file in some)
    faults = {file: fault for file in files if (fault := _fault(file))}
    lost = [some for group in groups for some in group if all(file in faults for file in some)]
    if said := list(dict.fromkeys(faults[file] for some in lost for file in some)):
        several = f"{len(said)} references cannot be read: " if len(said) > 1 else ""
        raise UserError(several + " ".join(said))
    return [
        Opened(
            [file for file in listed if file not in faults],
            [f"{faults[file]} It is left out." for file in listed if file in faults],
        )
        for listed in (reference_files(paths) if paths else [] for paths in references)
    ]


def reference_files(paths: Sequence[str | Path]) -> list[Path]:
    """Each file once, those of a folder by name. Raises UserError."""
    files: list[Path] = []
    for path in map(Path, paths):
        inside = [path]
        if path.is_dir():
            inside = sorted(f for f in path.iterdir() if f.suffix.lower() in MEDIA and f.is_file())
            if not inside:
                raise UserError(
                    f"a folder of references must hold photos or videos (jpg, png, mp4, ..): {path} has "
                    "none. Name another folder, or the files."
                )
        files += [f for f in inside if f.resolve() not in {g.resolve() for g in files}]
    if not files:
        raise UserError("a subject needs a reference: none was given. Name a clip, photo or folder.")
    return files


def _fault(file: Path) -> str:
    """Why ``file`` cannot be read; empty if it can."""
    try:
        spread_times(file, fps=1, at_most=1)
        next(frames_at(file, [0.0]))
    except UserError as error:
        return str(error)
    return ""
