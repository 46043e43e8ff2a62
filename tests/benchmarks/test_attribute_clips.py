"""What the attribute benchmark keeps from its training, and what it asks."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.attribute_clips import NEW_COLOURS, NEW_PLACES, PLACES, REAL, WORN, asked, pairs, real
from pvchat.datamodules.vocabulary import ACTIONS, vocabulary
from pvchat.metrics.functional.naming import named
from pvchat.synthesis.composer import Scene
from pvchat.synthesis.wardrobe import Clothes


def test_training_shows_every_value_but_not_every_pair() -> None:
    trained, tested = set(pairs("train")), set(pairs("combinations"))
    assert not trained & tested
    assert len(trained | tested) == len(PLACES) * len(WORN) >= 8 * 6
    for shown in (trained, tested):  # a test by one value alone would be no test of combinations
        assert {kind for kind, _ in shown} == set(PLACES)
        assert {colour for _, colour in shown} == set(WORN)


def test_new_values_are_in_no_other_part() -> None:
    known = {value for part in ("train", "combinations") for pair in pairs(part) for value in pair}
    assert not known & {*NEW_PLACES, *NEW_COLOURS}
    assert {value for pair in pairs("new") for value in pair} == {*NEW_PLACES, *NEW_COLOURS}


@pytest.mark.parametrize("present", [True, False])
def test_who_is_absent_and_actions_are_not_asked_about(present: bool) -> None:
    scene = Scene("beach", Clothes("red", "shirt"), "nod", seed=0)
    questions = asked("train", scene, {"tom": present}, np.random.default_rng(0))
    kinds = [q.type for q in questions if q.polarity is None]
    assert kinds.count("general") == 2
    assert len(kinds) - 2 == (4 if present else 0)
    assert not [q for q in questions if "cannot say" in q.answer or named(q.answer, ACTIONS)]


def test_what_is_seen_on_real_pictures_is_what_their_answers_name() -> None:
    records = [real(labelled, n, "tom", Path("media")) for n, labelled in enumerate(REAL)]
    words = vocabulary(records)
    for labelled, record in zip(REAL, records, strict=True):
        told = " ".join(q.answer for q in record.qa)
        assert named(told, words["appearance"]) == {labelled.colour} - {None}
        assert named(told, words["location"]) == {labelled.kind} - {None}
