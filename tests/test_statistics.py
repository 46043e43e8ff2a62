"""Statistics over subjects against scipy and against numbers worked out by hand."""

import itertools

import numpy as np
import numpy.typing as npt
import pytest
import scipy.stats

from pvchat.errors import UserError
from pvchat.statistics import (
    Comparison,
    bootstrap_interval,
    compare,
    holm,
    sign_flip_test,
    subject_means,
    subjects_needed,
)


def values(n: int, seed: int = 0, shift: float = 0.0) -> npt.NDArray[np.float64]:
    return np.random.default_rng(seed).normal(shift, 1, n)


def _reference_sign_flip(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64], resamples: float) -> float:
    def mean_difference(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], axis: int) -> object:
        return np.mean(x - y, axis=axis)

    result = scipy.stats.permutation_test(
        (a, b), mean_difference, permutation_type="samples", n_resamples=resamples, vectorized=True, rng=0
    )
    return float(result.pvalue)


@pytest.mark.parametrize("n", [8, 9, 12])
@pytest.mark.parametrize("shift", [0.0, 0.5, 3.0])
def test_exact_sign_flip_equals_scipy(n: int, shift: float) -> None:
    a, b = values(n, 1, shift), values(n, 2)
    assert sign_flip_test(a, b) == pytest.approx(_reference_sign_flip(a, b, np.inf), abs=1e-12)


@pytest.mark.parametrize("shift", [0.0, 0.4])
def test_drawn_sign_flip_is_near_scipy(shift: float) -> None:
    a, b = values(20, 3, shift), values(20, 4)
    assert sign_flip_test(a, b) == pytest.approx(_reference_sign_flip(a, b, 10_000), abs=0.02)


def test_sign_flip_by_hand() -> None:
    # All eight differences positive: only the two patterns of one sign are as extreme, 2 / 2**8.
    assert sign_flip_test(np.arange(1.0, 9.0), np.zeros(8)) == 2 / 256
    assert sign_flip_test(np.zeros(8), np.arange(1.0, 9.0)) == 2 / 256
    # One difference of eight against the rest: means of +-1 with k minus signs, 2 * (C(8,0) + C(8,1)) / 256.
    assert sign_flip_test([1, 1, 1, 1, 1, 1, 1, -1], np.zeros(8)) == 2 * 9 / 256
    assert sign_flip_test(np.ones(8), np.ones(8)) == 1.0


def test_ties_in_the_last_bits_stay_ties() -> None:
    differences = [0.1, 0.2, 0.3, -0.1, -0.2, -0.3, 0.7, 0.1]  # sums meet in many orders
    tenths = np.round(np.array(differences) * 10).astype(int)
    sums = [
        abs(sum(s * d for s, d in zip(signs, tenths, strict=True)))
        for signs in itertools.product((1, -1), repeat=8)
    ]
    by_hand = sum(s >= abs(tenths.sum()) for s in sums) / 256
    assert sign_flip_test(differences, np.zeros(8)) == by_hand


def test_a_drawn_p_is_never_zero_and_is_seeded() -> None:
    a, b = values(30, 5, 9.0), values(30, 6)
    assert sign_flip_test(a, b) == pytest.approx(1 / 10_001)
    a = values(30, 5, 0.3)
    assert sign_flip_test(a, b, seed=1) == sign_flip_test(a, b, seed=1)


@pytest.mark.parametrize("n", [0, 1, 5, 7])
def test_too_few_subjects_are_not_tested(n: int) -> None:
    with pytest.raises(UserError, match=rf"at least 8 subjects: got {n}\. Report the interval only"):
        sign_flip_test(values(n), values(n, 1))


def test_false_alarms_are_as_rare_as_promised() -> None:
    alarms = [sign_flip_test(values(8, 2 * k), values(8, 2 * k + 1)) <= 0.05 for k in range(400)]
    assert 0.02 < np.mean(alarms) < 0.08


@pytest.mark.parametrize("n", [2, 8, 25])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_bootstrap_equals_scipy(n: int, level: float) -> None:
    data = values(n, n)
    ours = bootstrap_interval(data, level=level, seed=7)
    rng = np.random.default_rng(7)
    theirs = scipy.stats.bootstrap(
        (data,), np.mean, n_resamples=10_000, confidence_level=level, method="percentile", rng=rng
    ).confidence_interval
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
    assert ours.mean == pytest.approx(data.mean())
    assert (ours.level, ours.num_subjects) == (level, n)


def test_bootstrap_by_hand() -> None:
    # Two subjects, 0 and 1: a resample's mean is 0, 1/2, 1 with 1/4, 1/2, 1/4.
    interval = bootstrap_interval([0.0, 1.0])
    assert (interval.low, interval.mean, interval.high) == (0.0, 0.5, 1.0)
    assert bootstrap_interval([0.0, 1.0], level=0.4).low == 0.5
    same = bootstrap_interval([0.7] * 5)
    assert (same.low, same.high) == pytest.approx((0.7, 0.7))


def test_bootstrap_is_seeded() -> None:
    assert bootstrap_interval(values(9)) == bootstrap_interval(values(9))
    assert bootstrap_interval(values(9), seed=1) != bootstrap_interval(values(9), seed=2)


def test_seeds_are_averaged_inside_the_subject() -> None:
    means = subject_means([1.0, 0.0, 0.5, 0.2, 0.6], ["tom", "ann", "tom", "ann", "tom"])
    assert list(means) == ["tom", "ann"]
    assert means == pytest.approx({"tom": 0.7, "ann": 0.1})


def test_more_seeds_do_not_make_more_evidence() -> None:
    subjects = [f"p{i}" for i in range(6)]
    once = subject_means(values(6), subjects)
    thrice = subject_means(np.tile(values(6), 3), subjects * 3)
    assert bootstrap_interval([*once.values()]) == bootstrap_interval([*thrice.values()])


def test_compare_pairs_by_subject_not_by_order() -> None:
    ours = {f"p{i}": float(i) for i in range(8)}
    theirs = {name: value - 1 for name, value in reversed(ours.items())}
    result = compare(ours, theirs)
    assert result.difference.low == result.difference.mean == result.difference.high == 1.0
    assert result.p_value == 2 / 256


def test_compare_gives_intervals_only_for_few_subjects() -> None:
    result = compare({"a": 1.0, "b": 2.0, "c": 4.0}, {"a": 0.0, "b": 0.0, "c": 0.0})
    assert isinstance(result, Comparison)
    assert result.p_value is None
    assert result.difference.low < result.difference.high


def test_compare_refuses_other_subjects() -> None:
    with pytest.raises(UserError, match=r"same subjects: only one has \['b', 'c'\]"):
        compare({"a": 1.0, "b": 1.0}, {"a": 1.0, "c": 1.0})


def test_as_many_subjects_find_the_difference_in_four_of_five_studies() -> None:
    rng = np.random.default_rng(0)
    seen = rng.normal(0.5, 1.0, 400)
    seen = (seen - seen.mean()) / seen.std(ddof=1) + 0.5  # a difference of half a deviation
    named = {str(n): float(value) for n, value in enumerate(seen)}
    needed = subjects_needed(named, dict.fromkeys(named, 0.0))
    assert needed == 32
    studies = rng.normal(0.5, 1.0, (4000, needed))
    z = studies.mean(axis=1) / (1 / np.sqrt(needed))
    assert np.mean(np.abs(z) > scipy.stats.norm.ppf(0.975)) == pytest.approx(0.8, abs=0.02)
    assert subjects_needed(named, named) is None
    assert subjects_needed({n: v * 0.01 + 5 for n, v in named.items()}, dict.fromkeys(named, 0.0)) == 8


def test_holm_by_hand() -> None:
    # Sorted .01 .02 .03 .04 times 4 3 2 1 = .04 .06 .06 .04, made monotone.
    adjusted = holm({"d": 0.04, "a": 0.01, "c": 0.03, "b": 0.02})
    assert list(adjusted) == ["d", "a", "c", "b"]
    assert adjusted == pytest.approx({"a": 0.04, "b": 0.06, "c": 0.06, "d": 0.06})
    assert holm({"a": 0.6, "b": 0.9}) == {"a": 1.0, "b": 1.0}
    assert holm({"a": 0.03}) == {"a": 0.03}
    assert holm({}) == {}


def test_holm_rejects_as_the_step_down_procedure_does() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        p = dict(enumerate(rng.uniform(0, 0.1, 6)))
        order = sorted(p, key=lambda i: p[i])
        kept = [rank for rank, i in enumerate(order) if p[i] > 0.05 / (6 - rank)]
        rejected = set(order[: kept[0] if kept else 6])
        adjusted = holm({str(i): value for i, value in p.items()})
        assert {int(i) for i, value in adjusted.items() if value <= 0.05} == rejected


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bootstrap_interval([1.0]), "at least 2 of them: got 1"),
        (lambda: bootstrap_interval([1.0, 2.0], level=95), r"level must be in \(0, 1\): got 95"),
        (lambda: bootstrap_interval([1.0, float("nan")]), "flat list of finite numbers"),
        (lambda: bootstrap_interval([[1.0], [2.0]]), "flat list of finite numbers"),  # type: ignore[list-item]
        (lambda: sign_flip_test(values(8), values(9)), "as many: got 8 and 9"),
        (lambda: subject_means([1.0], ["a", "b"]), "got 1 values, 2 subjects"),
        (lambda: holm({"a": 1.5}), r"in \[0, 1\]: got 1.5 for 'a'"),
    ],
)
def test_errors(call: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        call()  # type: ignore[operator]
