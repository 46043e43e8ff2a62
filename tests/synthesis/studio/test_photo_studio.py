import pickle
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from adapter_contract import check_made
from skimage.color import rgb2lab

from pvchat.errors import UserError
from pvchat.synthesis.studio.actors import Actor
from pvchat.synthesis.studio.photo_studio import PhotoStudio
from pvchat.synthesis.studio.scenes import Scene
from pvchat.synthesis.wardrobe import COLOURS, Clothes

Frame = npt.NDArray[np.uint8]
SCENE = Scene("beach", Clothes("red", "t-shirt"), "nod", "pan", seed=3)


@pytest.fixture(scope="module")
def studio() -> PhotoStudio:
    return PhotoStudio(size_px=160, num_frames=4)


@pytest.fixture(scope="module")
def whole(photo: Frame) -> Actor:
    return Actor("ann", "whole", photo)


@pytest.fixture(scope="module")
def bust(photo: Frame) -> Actor:
    """No more than the head, and some collar."""
    return Actor("ann", "bust", np.ascontiguousarray(photo[:230, 110:330]))


@pytest.fixture(scope="module")
def crop(photo: Frame) -> Actor:
    """Cut off at the brows, grey."""
    grey = np.repeat(photo[84:180, 175:270, :1], 3, -1)
    return Actor("ben", "crop", grey)


def test_contract(studio: PhotoStudio, whole: Actor) -> None:
    scene = studio.match(SCENE, [whole])
    made = studio.shoot(whole, scene)
    check_made(made, studio.adapter, seed=3, command=made.command)
    assert made.frames.shape == (4, 160, 160, 3)
    assert np.array_equal(studio.shoot(whole, scene).frames, made.frames)
    for other in (
        replace(scene, motion="shake"),
        replace(scene, place="snow"),
        replace(scene, clothes=Clothes("blue", "t-shirt")),
        replace(scene, camera="zoom"),
        studio.match(replace(SCENE, seed=4), [whole]),
    ):
        assert not np.array_equal(studio.shoot(whole, other).frames, made.frames), other
    assert PhotoStudio(size_px=96).adapter.fingerprint != studio.adapter.fingerprint


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("who", ["whole", "bust"])
def test_clothes_have_the_commanded_colour(
    studio: PhotoStudio, request: pytest.FixtureRequest, who: str, colour: str
) -> None:
    actor = request.getfixturevalue(who)
    worn = replace(SCENE, clothes=Clothes(colour, "t-shirt"), camera="still", motion="still")
    scene = studio.match(worn, [actor])
    assert scene.treatment is not None
    assert scene.treatment.own_clothes == (who == "whole")
    frame, at = studio.shoot(actor, scene).frames[0], scene.treatment.framing
    rows, reach = round(160 * (at.y + 3.3 * at.unit)), at.unit
    chest = frame[rows:, round(160 * (at.x - reach)) : round(160 * (at.x + reach))].reshape(-1, 3)
    seen = rgb2lab(np.median(chest, axis=0)[None, None] / 255)[0, 0]
    names = rgb2lab(np.array(list(COLOURS.values()), np.uint8)[None])[0]
    assert list(COLOURS)[np.linalg.norm(names - seen, axis=1).argmin()] == colour


def test_all_of_a_cast_are_treated_alike(studio: PhotoStudio, whole: Actor, bust: Actor, crop: Actor) -> None:
    alone, both, three = (studio.match(SCENE, c) for c in ([whole], [whole, bust], [whole, bust, crop]))
    assert alone.treatment is not None
    assert alone.treatment.own_clothes
    assert alone.treatment.opening is None
    assert studio.facts(alone).clothes == "a red top"
    assert both.treatment is not None
    assert not both.treatment.own_clothes
    assert not both.treatment.grey
    assert studio.facts(both).clothes == "a red t-shirt"
    assert three.treatment is not None
    assert three.treatment.opening is not None
    assert three.treatment.grey
    assert studio.facts(three).clothes == "a red hoodie"
    assert (studio.facts(three).doing, studio.facts(three).place) == ("nodding", "on a beach")
    frames = [studio.shoot(a, both).frames[0].astype(int) for a in (whole, bust)]
    assert np.abs(frames[0][-25:] - frames[1][-25:]).max() < 30  # the same clothes at the same place


def test_another_process_films_the_same(studio: PhotoStudio, whole: Actor) -> None:
    """Networks whose weights lay elsewhere in memory summed otherwise."""
    scene = studio.match(SCENE, [whole])
    copy = pickle.loads(pickle.dumps(studio))
    assert np.array_equal(copy.shoot(whole, scene).frames, studio.shoot(whole, scene).frames)


def test_a_small_source_is_shown_small(studio: PhotoStudio, whole: Actor) -> None:
    small = Actor("cat", "small", np.ascontiguousarray(whole.photo[::2, ::2]))
    for seed in range(6):
        scene = studio.match(replace(SCENE, seed=seed), [whole, small])
        assert scene.treatment is not None
        assert scene.treatment.framing.unit * 160 <= 1.3 * scene.treatment.detail + 1e-6


def test_what_cannot_be_shot_is_refused(studio: PhotoStudio, whole: Actor) -> None:
    blank = Actor("nobody", "blank", np.full((160, 160, 3), 128, np.uint8))
    with pytest.raises(UserError, match="must show a face: none was found in blank"):
        studio.match(SCENE, [blank])
    with pytest.raises(UserError, match="must be matched to its cast"):
        studio.shoot(whole, SCENE)
    with pytest.raises(UserError, match="got 'pink'"):
        studio.match(replace(SCENE, clothes=Clothes("pink", "shirt")), [whole])
    with pytest.raises(UserError, match="a motion must be one of"):
        studio.shoot(whole, studio.match(replace(SCENE, motion="jump"), [whole]))
