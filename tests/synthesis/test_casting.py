from collections import Counter
from dataclasses import replace
from itertools import islice

import numpy as np

from pvchat.synthesis.backgrounds import BACKGROUNDS
from pvchat.synthesis.casting import deal, scenes, strangers
from pvchat.synthesis.portraits import Portrait


def test_everything_comes_equally_often() -> None:
    dealt = list(islice(deal(np.random.default_rng(0), "abc"), 12))
    assert set(Counter(dealt).values()) == {4}
    some = list(islice(scenes(np.random.default_rng(0), list(BACKGROUNDS)), 24))
    assert set(Counter(s.background for s in some).values()) == {2}
    assert set(Counter(s.clothes.colour for s in some).values()) == {3}
    assert set(Counter(s.motion for s in some).values()) == {4}
    assert len({s.seed for s in some}) == 24


def test_a_scene_is_cast_from_recordings_or_from_photos(portrait: Portrait, moving: Portrait) -> None:
    photos = [replace(portrait, person=f"photo {i}") for i in range(3)]
    clips = [replace(moving, person=f"clip {i}") for i in range(3)]
    choose = strangers(np.random.default_rng(0), [*photos, *clips])
    assert all(len(p.heads) > 1 for _ in range(5) for p in choose(2, True))
    assert all(len(p.heads) == 1 for _ in range(5) for p in choose(2, False))


def test_people_in_a_scene_differ_even_if_both_kinds_are_needed(portrait: Portrait, moving: Portrait) -> None:
    choose = strangers(np.random.default_rng(0), [portrait, moving, replace(portrait, source_id="2")])
    assert {p.person for p in choose(2, True)} == {"ann", "ben"}
    assert choose(0, True) == []
