"""Measuring leaves the training alone, and the table says what was measured."""

import time
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from tiny import changed, fit, make_data, make_module, make_plan, state

from benchmarks.overhead import FIRST, HOOKS, BareSteps, FirstStep, Inside, start_rows, step_rows


def test_bare_steps_leave_the_training_as_it_is(tiny_corpus: Path) -> None:
    """To the last bit, over both stages, and there is one for each step but the first of an epoch."""
    ends = []
    bare = BareSteps(Inside())
    for callbacks in ((), (bare,)):
        module = make_module(controls=("main",), chat={"dropout": 0.1})
        before = state(module)
        data = make_data(tiny_corpus, module, stages=make_plan(1, 2))
        trainer = fit(module, data, *callbacks)
        ends.append(state(module))
        assert changed(before, module)
    assert not {name for name, value in ends[0].items() if not torch.equal(value, ends[1][name])}
    assert len(bare.seconds) == trainer.global_step - 3
    assert all(value > 0 for pair in bare.seconds for value in pair[:4])


class Slow(L.Callback):
    def on_train_batch_start(self, *_: Any) -> None:
        time.sleep(0.05)
        self.on_sanity_check_start(None, None)  # called by another: its time counts once

    def on_sanity_check_start(self, *_: Any) -> None:
        time.sleep(0.05)


def test_the_time_inside_a_callback_is_seen(tiny_corpus: Path) -> None:
    inside, slow = Inside(), Slow()
    inside.wrap(slow, *HOOKS)
    bare = BareSteps(inside)
    module = make_module(controls=("main",))
    fit(module, make_data(tiny_corpus, module, stages=make_plan(1, 1)), slow, bare)
    assert bare.seconds
    for whole, _, _, _, within in bare.seconds:
        assert 0.1 <= within < whole


def test_the_first_step_is_announced_once(tiny_corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module = make_module(controls=("main",))
    fit(module, make_data(tiny_corpus, module, stages=make_plan(1, 0)), FirstStep())
    assert capsys.readouterr().out.count(FIRST) == 1


def test_rows_are_of_the_difference() -> None:
    repeats = [
        [(1.1, 1.0, 2.1, 2.0, 0.01), (1.2, 1.0, 2.2, 2.0, 0.02)],
        [(1.3, 1.0, 2.6, 2.0, 0.02), (1.4, 1.0, 2.8, 2.0, 0.06)],
    ]
    rows = dict(step_rows(repeats))
    assert rows["a bare step"] == "1.000 s"
    assert rows["a step with everything"] == "1.250 s"
    assert rows["added to a step, by the clock"] == "250.0 ms (quartiles 125.0 to 375.0), 25.0 %"
    assert rows["added to all steps of a repeat, by the clock"] == "25.00 (15.00 to 35.00) %"
    assert rows["added to all steps of a repeat, by the processor"] == "21.25 (7.50 to 35.00) %"
    assert rows["inside callbacks, loggers and `log`"] == "20.0 ms, 2.00 % of a bare step"
    assert rows["inside them, of all bare steps of a repeat"] == "2.75 (1.50 to 4.00) %"
    assert rows["steps"] == 4


def test_start_is_beyond_the_imports_of_the_same_turn() -> None:
    rows = dict(start_rows([(1.0, 4.0), (5.0, 6.0), (2.0, 4.0)]))
    assert rows["beyond the imports"] == "2.00 (1.00 to 3.00) s"
