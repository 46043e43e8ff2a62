import numpy as np
import numpy.typing as npt
import pytest
import torch

from pvchat.synthesis.animation.animator import WarpAnimator
from pvchat.synthesis.animation.motion_library import CHANNELS, Curves
from pvchat.synthesis.animation.thin_plate import exact_displacement
from pvchat.synthesis.animation.warp import HeadWarp

Frame = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def warp(animator: WarpAnimator, photo: Frame) -> HeadWarp:
    return animator.prepare(photo).warp


def curves(**values: float) -> Curves:
    return Curves(np.array([[values.get(c, 0.0) for c in CHANNELS]]), 25)


@pytest.mark.parametrize(
    "motion", [{"yaw": 18.0}, {"pitch": 12.0}, {"roll": 13.0, "jaw": 0.6}, {"anger": 1.0}]
)
def test_fast_field_is_the_exact_one(warp: HeadWarp, motion: dict[str, float]) -> None:
    spline, landmarks = warp.splines(curves(**motion))
    exact = exact_displacement(
        spline, warp.region, origin=torch.from_numpy(warp.centre), unit_px=warp.face.unit_px
    )
    error = (warp.field(spline, landmarks) - exact * warp.fade()).norm(dim=1).flatten()
    assert float(exact.norm(dim=1).max()) > 5
    assert float(error.quantile(0.9999)) < 0.5
    assert float(error.mean()) < 0.02


def test_nothing_commanded_moves_nothing(warp: HeadWarp) -> None:
    field = warp.field(*warp.splines(curves()))
    assert float(field.abs().max()) < 0.01


def test_shoulders_stay_while_the_head_turns(warp: HeadWarp) -> None:
    region = warp.region
    field = warp.field(*warp.splines(curves(yaw=20, pitch=10))).norm(dim=1)[0]
    assert float(field[90 - region.top : 140 - region.top, 200 - region.left : 250 - region.left].mean()) > 3
    assert float(field[260 - region.top :].max()) < 1.5  # from the collar down
    assert float(field[:, -1].max()) < 0.01  # at the side, where the rest of the photo begins


def test_large_movements_do_not_tear(warp: HeadWarp) -> None:
    """Beyond the edge of the hidden cheek the field does not run away."""
    field = warp.field(*warp.splines(curves(yaw=25)))
    assert float(field.norm(dim=1).max()) < 0.35 * warp.height
