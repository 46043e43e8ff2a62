"""A corpus composed out of another: when does somebody appear, and who does what, with exact answers."""

import os
import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from zlib import crc32

import numpy as np

from pvchat.datamodules.manifest import Record, Split, write_manifest
from pvchat.errors import UserError, writing
from pvchat.synthesis.appearances import compose_appearances
from pvchat.synthesis.questions import existence_qa
from pvchat.synthesis.side_by_side import compose_side_by_side
from pvchat.synthesis.splits import Shared, check_leaks

COMPOSED: tuple[Split, ...] = ("train", "validation", "test")


@dataclass(frozen=True)
class Composition:
    """``count`` videos of each kind in training, ``held_out`` in validation and in test: for each subject one
    after another (``parts`` clips of ``seconds``, from and to), and side by side for each of ``people``, as
    many on screen. ``existence`` questions about each person in each video."""

    count: int = 40
    held_out: int = 16
    parts: int = 4
    seconds: tuple[float, float] = (1.0, 3.0)
    people: tuple[int, ...] = ()
    existence: int = 2
    seed: int = 0

    def videos(self, records: Sequence[Record], subjects: Sequence[str], folder: Path) -> list[Record]:
        """Compose ``records``, of one split."""
        count = self.count if records[0].split == "train" else self.held_out
        made = [
            video
            for subject in subjects
            for video in compose_appearances(
                records,
                subject,
                folder,
                count=count if self.parts else 0,
                num_parts=self.parts,
                seconds=self.seconds,
                seed=self.seed,
            )
        ]
        for num_people in self.people:
            made += compose_side_by_side(
                records,
                folder,
                count=count,
                num_people=num_people,
                seconds=self.seconds[1],
                seed=self.seed,
            )
        return [self._also_existence(video) for video in made]

    def _also_existence(self, video: Record) -> Record:
        rng = np.random.default_rng([self.seed, crc32(video.id.encode())])
        each = [existence_qa(who, there, rng, self.existence) for who, there in video.presence.items()]
        return replace(video, qa=(*video.qa, *(qa for asked in each for qa in asked)))


def compose_corpus(
    records: Sequence[Record],
    out: Path,
    composition: Composition,
    *,
    subjects: Sequence[str] = (),
    allow: Collection[Shared] = (),
) -> list[Record]:
    """Write the videos of ``composition`` and their manifest into the new folder ``out``, there whole or not
    at all; returns what was written. Clips are joined with clips of their split alone, those of the reference
    are taken over. ``subjects``: whose appearances (default: all). Raises UserError, for test clips
    that share what is not allowed with others too."""
    known = tuple(records[0].presence)
    if unknown := sorted(set(subjects) - set(known)):
        raise UserError(f"a subject must be one of {', '.join(known)}: got {unknown[0]!r}.")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"a corpus needs a folder of its own: {out} is there and not empty. Choose another.")
    check_leaks(records, allow=allow)
    partial = out.with_name(f".{out.name}.{os.getpid()}")
    with writing(out):
        try:
            composed = [
                video
                for split in COMPOSED
                if (part := [r for r in records if r.split == split])
                for video in composition.videos(part, subjects or known, partial / "clips")
            ]
            composed += [_taken_over(r, partial / "clips") for r in records if r.split == "reference"]
            write_manifest(partial / "manifest.jsonl", composed)
            if out.exists():
                out.rmdir()
            partial.rename(out)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return [replace(r, path=out.absolute() / "clips" / r.path.name) for r in composed]


def _taken_over(record: Record, folder: Path) -> Record:
    """``record`` with a copy of its file."""
    path = folder / f"reference-{crc32(str(record.path).encode()):08x}{record.path.suffix}"
    shutil.copyfile(record.path, path)
    return replace(record, path=path.absolute())
