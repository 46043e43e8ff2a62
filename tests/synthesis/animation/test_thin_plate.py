import numpy as np
import pytest
import torch
from scipy.interpolate import RBFInterpolator

from pvchat.synthesis.animation.thin_plate import Box, displacement, exact_displacement, fit


@pytest.mark.parametrize("smoothing", [0.0, 0.05])
def test_splines_are_those_of_scipy(smoothing: float) -> None:
    rng = np.random.default_rng(0)
    points, values, places = (
        rng.normal(size=(3, 20, 2)),
        rng.normal(size=(3, 20, 2)),
        rng.normal(size=(3, 600, 2)),
    )
    spline = fit(*map(torch.from_numpy, (points, values, np.full((3, 20), smoothing))))
    ours = spline.at(torch.from_numpy(places))
    for n in range(3):
        theirs = RBFInterpolator(points[n], values[n], kernel="thin_plate_spline", smoothing=smoothing)
        np.testing.assert_allclose(ours[n], theirs(places[n]), atol=1e-6)


def test_what_is_smoothed_alone_moves_less() -> None:
    points = torch.tensor([[[0.0, 0], [1, 0], [0, 1], [1, 1], [0.5, 0.5]]]).double()
    values = torch.zeros(1, 5, 2).double()
    values[0, 4] = 1
    smoothing = torch.zeros(1, 5).double()
    smoothing[0, 4] = 10
    spline = fit(points, values, smoothing)
    assert float(spline.at(points)[0, 4, 0]) < 0.1
    assert float(spline.at(points)[0, :4].abs().max()) < 0.1


def test_interpolated_field_is_the_exact_one() -> None:
    rng = torch.Generator().manual_seed(0)
    points = torch.rand(2, 30, 2, generator=rng).double() * 1.4 - torch.tensor([1.0, 0.7])
    values = 0.1 * torch.sin(3 * points.flip(2))
    spline = fit(points, values, torch.full((2, 30), 1e-2).double())
    region, face, origin = Box(10, 20, 410, 320), Box(100, 90, 260, 250), torch.tensor([210.0, 170.0])
    ours = displacement(spline, region, face, origin=origin, unit_px=100)
    exact = exact_displacement(spline, region, origin=origin, unit_px=100)
    assert ours.shape == exact.shape == (2, 2, 300, 400)
    assert float(exact.abs().max()) > 5
    assert float((ours - exact).norm(dim=1).max()) < 0.5
