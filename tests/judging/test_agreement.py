"""Agreement of two judges, against scikit-learn and scipy."""

import math

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import cohen_kappa_score

from pvchat.errors import UserError
from pvchat.judging import Rating, agreement


def ratings(scores: list[float | None]) -> list[Rating]:
    return [Rating(str(i), score, "") for i, score in enumerate(scores)]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("low", [0, 1])
def test_equals_sklearn_and_scipy(seed: int, low: int) -> None:
    """Also where a score in the middle of the scale is never given."""
    rng = np.random.default_rng(seed)
    x = rng.integers(low, 6, 60)
    y = np.clip(x + rng.integers(-2, 3, 60), low, 5)
    if seed == 0:
        x[x == 3], y[y == 3] = 4, 4
    numbers = agreement(ratings(x.tolist()), ratings(y.tolist()))
    assert numbers.kappa == pytest.approx(
        cohen_kappa_score(x, y, weights="quadratic", labels=list(range(low, 6)))
    )
    assert numbers.spearman == pytest.approx(spearmanr(x, y).statistic)
    assert numbers.exact == sum(x == y) / 60
    assert numbers.within_one == sum(abs(x - y) <= 1) / 60
    assert (numbers.items, numbers.left_out) == (60, 0)


def test_by_hand() -> None:
    """Distances 0 1 2; squared they are 5/3 on average, by chance (9 pairs) 27/9: kappa 1 - 5/9."""
    numbers = agreement(ratings([1, 2, 3]), ratings([1, 3, 5]))
    assert (numbers.exact, numbers.within_one) == (1 / 3, 2 / 3)
    squares = [(a - b) ** 2 for a in (1, 2, 3) for b in (1, 3, 5)]
    assert numbers.kappa == pytest.approx(1 - (5 / 3) / (sum(squares) / 9))
    assert numbers.spearman == pytest.approx(1)


def test_items_that_one_left_unscored_are_left_out() -> None:
    numbers = agreement(ratings([5, None, 1, 4, None]), ratings([5, 5, 1, None, None]))
    assert (numbers.items, numbers.left_out) == (2, 3)
    assert numbers.exact == numbers.kappa == pytest.approx(1)


def test_what_is_not_defined_is_nan() -> None:
    same = agreement(ratings([5, 5, 5]), ratings([5, 5, 5]))
    assert same.exact == 1
    assert math.isnan(same.kappa)
    assert math.isnan(same.spearman)
    one_sided = agreement(ratings([5, 5]), ratings([4, 5]))
    assert one_sided.kappa == 0
    assert math.isnan(one_sided.spearman)
    empty = agreement(ratings([None]), ratings([5]))
    assert empty.items == 0
    assert all(map(math.isnan, (empty.exact, empty.within_one, empty.kappa, empty.spearman)))


def test_the_items_must_be_the_same() -> None:
    with pytest.raises(UserError, match="same items in the same order: got 2 and 1 ratings"):
        agreement(ratings([5, 4]), ratings([5]))
    with pytest.raises(UserError, match="ids differ"):
        agreement(ratings([5, 4]), ratings([5, 4])[::-1])
