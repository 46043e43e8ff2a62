import numpy as np
import pytest

from pvchat.errors import UserError
from pvchat.synthesis.backgrounds import BACKGROUNDS, background, place


@pytest.mark.parametrize("kind", BACKGROUNDS)
def test_the_seed_decides(kind: str) -> None:
    first = background(kind, seed=1, size_px=64)
    assert first.shape == (64, 64, 3)
    background.cache_clear()
    assert np.array_equal(background(kind, seed=1, size_px=64), first)
    assert not np.array_equal(background(kind, seed=2, size_px=64), first)


def test_enough_places_that_differ_and_read_well() -> None:
    assert len(BACKGROUNDS) >= 8
    assert len({place(kind) for kind in BACKGROUNDS}) == len(BACKGROUNDS)
    assert all(place(kind).split()[0] in ("on", "in") for kind in BACKGROUNDS)


def test_kinds_are_told_apart_by_their_colours() -> None:
    """Two pictures of one kind are mostly closer than pictures of two kinds."""
    thumbs = np.stack(
        [
            [
                background(k, seed=s, size_px=64).reshape(4, 16, 4, 16, 3).mean((1, 3)).ravel()
                for s in range(2)
            ]
            for k in BACKGROUNDS
        ]
    )  # (kinds, seeds, 48)
    distance = np.linalg.norm(thumbs[:, 0][:, None] - thumbs[:, 1][None], axis=-1)
    assert (distance.argmin(1) == np.arange(len(BACKGROUNDS))).mean() > 0.7


def test_unknown_kinds() -> None:
    with pytest.raises(UserError, match=r"one of beach, forest, .*: got 'moon'"):
        background("moon", seed=0)
