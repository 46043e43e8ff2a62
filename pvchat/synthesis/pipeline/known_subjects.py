"""The subjects of a corpus as their references show them: who, from which files, the best faces."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

from tqdm import tqdm

from pvchat.datamodules.video import clip_times, content_hash, is_photo
from pvchat.errors import UserError
from pvchat.faces import SAME_PERSON, FaceAnalyzer
from pvchat.synthesis.animation.face_mesh import FaceMesh
from pvchat.synthesis.likeness import Look, distance
from pvchat.synthesis.pipeline.finishing import Corpus
from pvchat.synthesis.pipeline.folder import FACES, FACES_FILE
from pvchat.synthesis.pipeline.recipe import Recipe
from pvchat.synthesis.pipeline.subject_request import SubjectRequest
from pvchat.synthesis.reference_faces import FoundFaces, find_faces
from pvchat.synthesis.studio.actors import Actor
from pvchat.synthesis.writing import write_photo, write_text


@dataclass(frozen=True)
class Known:
    """What the first stage found of a subject."""

    request: SubjectRequest
    files: list[Path]
    faces: FoundFaces

    @property
    def looks(self) -> Look:
        return [face.embedding for face in self.faces.kept]


def known_subject(
    subject: SubjectRequest,
    files: list[Path],
    faces: FaceAnalyzer,
    mesh: FaceMesh,
    recipe: Recipe,
    out: Path,
    corpus: Corpus,
) -> Known:
    """The best faces of a subject, also written down."""
    with tqdm(desc=subject.name, unit="frame") as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        found = find_faces(
            files,
            faces=faces,
            mesh=mesh,
            face=subject.face,
            like=subject.like,
            count=recipe.faces,
            max_frames=recipe.frames,
            progress=progress,
        )
    folder = out / FACES / subject.name
    for number, kept in enumerate(found.kept):
        write_photo(folder / f"{number:02d}.png", kept.frame)
    written = [
        {
            "file": f"{number:02d}.png",
            "source": kept.source_id,
            "score": round(kept.quality.score, 3),
            "embedding": [round(float(v), 6) for v in kept.embedding],
        }
        for number, kept in enumerate(found.kept)
    ]
    write_text(folder / FACES_FILE, json.dumps(written, indent=1, ensure_ascii=False) + "\n")
    better = f"good, {len(found.kept)} better ones are kept"
    left_out = {r.name: r.reason for r in found.rejected} | dict.fromkeys(found.spare, better)
    write_text(folder / "left_out.json", json.dumps(left_out, indent=1, ensure_ascii=False) + "\n")
    corpus.rejects += [replace(r, name=f"{subject.name}: {r.name}") for r in found.rejected]
    notes = [f"{subject.name}: {note}" for note in found.notes]
    corpus.notes += notes
    told = f"{subject.name}: {len(found.kept)} faces kept, {len(found.rejected)} faulty"
    print("\n".join([told, *notes]), flush=True)
    return Known(subject, files, found)


def each_once(files: Sequence[Path]) -> list[Path]:
    """``files`` without copies: one would be trained on and the other tested."""
    return list({content_hash(file): file for file in reversed(files)}.values())[::-1]


def check_apart(known: Sequence[Known]) -> None:
    """Raises UserError where two subjects are one person."""
    for one, two in combinations(known, 2):
        if (away := distance(one.looks, two.looks)) < SAME_PERSON:
            raise UserError(
                f"subjects are different people: {one.request.name!r} and {two.request.name!r} look the same "
                f"(distance {away:.2f}, two people are above {SAME_PERSON:g}). Say who is meant with --face "
                "or --like, or give one subject all files."
            )


def actors_of(known: Known) -> list[Actor]:
    request = known.request
    return [
        Actor(request.name, kept.source_id, kept.frame, request.licence, request.consent)
        for kept in known.faces.kept
    ]


def position(file: Path, time_s: float, files: Sequence[Path]) -> float:
    """Where a picture lies in the reference, 0..1: in time for one recording, else by its file."""
    if len(files) > 1:
        return (files.index(file) + 0.5) / len(files)
    return 0.0 if is_photo(file) else time_s / max(float(clip_times(file)[-1]), 1e-6)
