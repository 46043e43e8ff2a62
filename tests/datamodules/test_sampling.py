"""The order of an epoch: deterministic, balanced, complete."""

import random
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch

from pvchat.batch import Example
from pvchat.datamodules.sampling import epoch_order
from pvchat.errors import UserError

ALL = ("existence", "appearance", "action")


def examples(yes_clips: int, no_clips: int, *, per_clip: int = 3, other: int = 2) -> list[Example]:
    """Every clip has ``per_clip`` existence questions; those with the person ``other`` others too."""
    out = []
    for n in range(yes_clips + no_clips):
        present = n < yes_clips
        kinds: list[Any] = [("existence", "yes" if present else "no")] * per_clip
        kinds += [("appearance", None)] * (other if present else 0)
        out += [
            Example(f"{n}#{k}", str(n), "?", "!", kind, polarity, ("tom",), {"tom": present}, "real")
            for k, (kind, polarity) in enumerate(kinds)
        ]
    return out


def asked(given: list[Example], **arguments: Any) -> list[Example]:
    return [given[i] for i in epoch_order(given, **{"types": ALL, "seed": 0, "epoch": 0, **arguments})]


def test_pure_function_of_seed_and_epoch() -> None:
    given = examples(4, 9)
    orders = [epoch_order(given, types=ALL, seed=s, epoch=e) for s in (0, 1) for e in (0, 1)]
    random.seed(7)
    np.random.seed(7)
    torch.manual_seed(7)
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
    again = [epoch_order(given, types=ALL, seed=s, epoch=e) for s in (0, 1) for e in (0, 1)]
    assert again == orders
    assert len({tuple(order) for order in orders}) == 4
    assert random.getstate() == states[0]
    assert np.random.get_state()[1].tolist() == states[1]
    assert torch.equal(torch.get_rng_state(), states[2])


def test_the_same_on_every_machine() -> None:
    given = examples(1, 2, per_clip=2, other=1)
    assert epoch_order(given, types=ALL, seed=3, epoch=2) == [3, 1, 5, 0, 1, 4, 0, 6, 2]


@pytest.mark.parametrize(("yes", "no"), [(3, 7), (7, 3), (1, 20), (5, 5)])
@pytest.mark.parametrize("questions_per_clip", [None, 1, 2])
def test_as_many_yes_as_no(yes: int, no: int, questions_per_clip: int | None) -> None:
    given = examples(yes, no)
    counts = Counter(e.polarity for e in asked(given, questions_per_clip=questions_per_clip))
    assert counts["yes"] == counts["no"] == max(yes, no) * (questions_per_clip or 3)
    assert {e.clip_id for e in asked(given)} == {str(n) for n in range(yes + no)}  # no clip is dropped


def test_nothing_twice_before_all_once() -> None:
    counts = Counter(e.id for e in asked(examples(3, 7)) if e.polarity == "yes")
    assert set(counts.values()) == {2, 3}  # 21 times yes, of 9 questions
    assert len(counts) == 9
    assert set(Counter(e.id for e in asked(examples(3, 7)) if e.polarity != "yes").values()) == {1}


def test_share_of_existence_questions() -> None:
    given = examples(6, 6, per_clip=2, other=8)
    for fraction, other in ((0.5, 24), (0.75, 8), (1.0, 0), (0.2, 48)):
        counts = Counter(e.type for e in asked(given, existence_fraction=fraction))
        assert counts["appearance"] == other
        assert counts["existence"] == 24
    assert Counter(e.type for e in asked(given, existence_fraction=0)) == {"appearance": 48}
    assert Counter(e.type for e in asked(given, types=("appearance",))) == {"appearance": 48}
    with pytest.raises(UserError, match=r"existence_fraction must be in \[0, 1\]: got 2"):
        asked(given, existence_fraction=2)


def test_questions_per_clip_change_over_epochs() -> None:
    given = examples(2, 2, per_clip=6, other=6)
    first, second = (asked(given, questions_per_clip=1, epoch=e) for e in (0, 1))
    for order in (first, second):
        assert Counter((e.clip_id, e.type) for e in order).most_common(1)[0][1] == 1
    assert {e.id for e in first} != {e.id for e in second}


def test_the_mixture_is_even_along_the_epoch() -> None:
    order = asked(examples(10, 40, per_clip=2, other=10))
    for start in range(0, len(order) - 20, 20):
        counts = Counter(e.polarity for e in order[start : start + 20])
        assert abs(counts["yes"] - counts["no"]) <= 3


def test_only_one_answer_is_asked_as_it_is() -> None:
    assert Counter(e.polarity for e in asked(examples(3, 0, other=0))) == {"yes": 9}


def test_nothing_to_ask() -> None:
    with pytest.raises(UserError, match=r"no training question is of type \['location'\]"):
        asked(examples(2, 2), types=("location",))
