"""Score intervals against scipy, the definition of Newcombe's method, and the Mann-Whitney test."""

import pytest
from scipy.stats import binomtest

from pvchat.errors import UserError
from pvchat.scoring.intervals import auc_interval, mean_of_shares, wilson


@pytest.mark.parametrize(("right", "of"), [(0, 5), (3, 8), (20, 20)])
def test_wilson_is_that_of_scipy(right: int, of: int) -> None:
    reference = binomtest(right, of).proportion_ci(0.9, method="wilson")
    found = wilson(right / of, of, level=0.9)
    assert (found.low, found.high) == pytest.approx((reference.low, reference.high))


def test_an_auc_leaves_chance_where_the_mann_whitney_test_rejects() -> None:
    """At chance the variance of method 5 is that of the rank test, (m + n + 1) / 12mn."""
    m, n, z = 9, 9, 1.959964
    edge = 0.5 + z * ((m + n + 1) / (12 * m * n)) ** 0.5
    assert auc_interval(edge + 0.002, m, n).low > 0.5
    assert auc_interval(edge - 0.002, m, n).low < 0.5
    assert auc_interval(1.0, m, n).low < 0.95  # all in order, and still it has a width
    assert auc_interval(1.0, m, n).high == 1


def test_a_mean_of_shares_adds_the_sides_in_quadrature() -> None:
    yes, no = wilson(0.9, 10), wilson(0.2, 20)
    found = mean_of_shares([(0.9, 10), (0.2, 20)])
    assert found.mean == pytest.approx(0.55)
    below = ((0.9 - yes.low) ** 2 + (0.2 - no.low) ** 2) ** 0.5 / 2
    assert found.low == pytest.approx(0.55 - below)


def test_what_is_no_share_is_refused() -> None:
    with pytest.raises(UserError, match=r"at least one unit is needed: got 0.5 of 0"):
        wilson(0.5, 0)
    with pytest.raises(UserError, match=r"of both kinds is needed: got 0.5 of 0 and 3"):
        auc_interval(0.5, 0, 3)
    with pytest.raises(UserError, match=r"level must be in \(0, 1\): got 1"):
        wilson(0.5, 3, level=1)
