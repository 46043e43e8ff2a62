from pvchat.sweeping.hyperband import bands, to_stop

LOSS = {"type": "hyperband", "max_iter": 5, "eta": 2, "s": 2}
"""The example in the documentation of W&B's own library, with its answer."""


def test_bands() -> None:
    assert bands(LOSS) == [1, 2]
    assert bands({"min_iter": 3, "eta": 2})[:3] == [3, 6, 12]


def test_it_stops_the_runs_that_wandbs_library_stops() -> None:
    running = {"b": [10.0, 10.0], "c": [10.0, 8.0, 8.0], "d": [10.0, 7.0, 7.0]}
    others = [[10.0, 9.0], [10.0, 6.0, 6.0]]
    assert to_stop(running, others, LOSS, maximize=False) == ["b"]
    turned = {name: [-v for v in values] for name, values in running.items()}
    assert to_stop(turned, [[-v for v in o] for o in others], LOSS, maximize=True) == ["b"]


def test_strict_looks_at_the_band_alone() -> None:
    running = {"early": [1.0, 9.0]}
    others = [[5.0, 5.0], [5.0, 6.0]]
    assert to_stop(running, others, LOSS, maximize=False) == []
    assert to_stop(running, others, LOSS | {"strict": True}, maximize=False) == ["early"]


def test_nothing_is_stopped_before_the_first_band() -> None:
    assert to_stop({"a": [9.0]}, [[1.0, 1.0, 1.0]], {"min_iter": 3, "eta": 2}, maximize=False) == []
