from dataclasses import replace

import numpy as np
import pytest

from pvchat.synthesis.composer import Scene, compose, match
from pvchat.synthesis.motions import MOTIONS
from pvchat.synthesis.portraits import UNIT_PX, Portrait
from pvchat.synthesis.wardrobe import COLOURS, Clothes

STILL = Scene("beach", Clothes("red", "t-shirt"), "still", seed=3)
SMALL = {"num_frames": 4, "size_px": 96}


def test_frames_are_a_function_of_portrait_and_scene(portrait: Portrait) -> None:
    frames = compose(portrait, STILL, **SMALL)
    assert frames.shape == (4, 96, 96, 3)
    assert frames.dtype == np.uint8
    assert np.array_equal(compose(portrait, STILL, **SMALL), frames)
    assert not np.array_equal(compose(portrait, replace(STILL, seed=4), **SMALL), frames)


def test_who_is_keeping_still_does_not_move(portrait: Portrait) -> None:
    frames = compose(portrait, STILL, **SMALL)
    assert (frames == frames[:1]).all()


@pytest.mark.parametrize("motion", [m for m in MOTIONS if m != "still"])
def test_commanded_motions_move(portrait: Portrait, motion: str) -> None:
    frames = compose(portrait, replace(STILL, motion=motion), **SMALL).astype(int)
    assert np.abs(np.diff(frames, axis=0)).max((1, 2, 3)).max() > 40


def test_a_recorded_head_keeps_its_own_motion(moving: Portrait) -> None:
    frames = compose(moving, STILL, **SMALL)
    assert not (frames == frames[:1]).all()
    frozen = compose(moving, replace(STILL, freeze=True), **SMALL)
    assert (frozen == frozen[:1]).all()


@pytest.mark.parametrize("colour", COLOURS)
def test_clothes_have_the_colour_they_are_said_to_have(portrait: Portrait, colour: str) -> None:
    frame = compose(portrait, replace(STILL, clothes=Clothes(colour, "shirt")), **SMALL)[0]
    chest = np.median(frame[-8:, 30:66].reshape(-1, 3), axis=0)
    chest = chest / max(chest.max(), 60)
    names = list(COLOURS)
    references = np.array([np.array(c) / max(*c, 60) for c in COLOURS.values()])
    nearest = np.abs(references - chest).sum(1).argsort()[:2]
    assert colour in [names[i] for i in nearest]


def test_nothing_but_the_head_differs_between_two_people(portrait: Portrait, moving: Portrait) -> None:
    dark = replace(moving, heads=moving.heads[2:], landmarks=moving.landmarks[2:])
    a, b = (compose(p, STILL, **SMALL)[0].astype(int) for p in (portrait, dark))
    changed = np.argwhere(np.abs(a - b).max(-1) > 6)
    assert len(changed)
    assert changed[:, 0].max() < 75  # head and throat, not the shirt
    assert (a[:, :10] == b[:, :10]).all()


def test_compared_heads_are_treated_alike(portrait: Portrait, moving: Portrait, tight: Portrait) -> None:
    plain = match(STILL, [portrait, portrait])
    assert (plain.grey, plain.opening, plain.freeze) == (False, None, True)
    assert plain.detail == pytest.approx(portrait.detail)
    assert not match(STILL, [moving, moving]).freeze
    mixed = match(STILL, [moving, tight])
    assert (mixed.grey, mixed.freeze, mixed.clothes) == (True, True, Clothes("red", "hoodie"))
    assert mixed.opening is not None
    assert mixed.detail == pytest.approx(min(UNIT_PX, moving.detail, tight.detail))


def test_grayscale_can_be_forced_and_forbidden(portrait: Portrait, tight: Portrait) -> None:
    assert match(STILL, [portrait], grayscale=True).grey
    assert not match(STILL, [tight], grayscale=False).grey


def test_a_hood_hides_where_the_photo_ends(tight: Portrait) -> None:
    scene = match(replace(STILL, clothes=Clothes("yellow", "shirt")), [tight])
    frame = compose(tight, scene, num_frames=1, size_px=224)[0].astype(int)
    # a yellow rim all around the face: going up from the eyes one meets the hood, not the sky
    column = frame[:, :, 2].argmin(1)
    assert column.size
    yellow = (frame[..., 0] > 150) & (frame[..., 1] > 120) & (frame[..., 2] < 110)
    assert yellow[30:80].any(1).all()
    assert yellow[-20:].mean() > 0.3


def test_grey_heads_get_the_tones_of_skin(tight: Portrait) -> None:
    grey = match(STILL, [tight])
    face = compose(tight, grey, num_frames=1, size_px=224)[0, 70:100, 95:130].reshape(-1, 3).astype(float)
    assert face[:, 0].mean() > face[:, 2].mean() + 8
