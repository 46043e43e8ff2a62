"""Budget: the most a request can use must fit before it is made."""

import threading

import pytest

from pvchat.endpoint import Budget
from pvchat.errors import UserError


def test_the_most_a_request_can_use_must_fit() -> None:
    budget = Budget(max_tokens=100)
    with budget.booked(60, 40) as booking:
        booking.input_tokens, booking.output_tokens = 20, 10
    with budget.booked(40, 30):
        pass
    assert (budget.input_tokens, budget.output_tokens, budget.requests) == (60, 40, 2)
    with pytest.raises(UserError, match="max_tokens=100 ends here: 100 tokens were used, with the next"):
        budget.booked(1, 0).__enter__()
    assert budget.requests == 2


def test_money_is_tokens_times_prices() -> None:
    budget = Budget(max_cost=1.0, input_price=2.0, output_price=8.0)
    with budget.booked(100_000, 100_000):
        pass
    assert budget.cost == pytest.approx(1.0)
    with pytest.raises(UserError, match="max_cost=1 ends here: 200000 tokens were used for 1, with"):
        budget.booked(1, 1).__enter__()


def test_a_request_waits_for_others_that_may_leave_room() -> None:
    budget = Budget(max_tokens=100)
    entered, leave, second = threading.Event(), threading.Event(), threading.Event()

    def first() -> None:
        with budget.booked(80, 0) as booking:
            entered.set()
            leave.wait(10)
            booking.input_tokens = 10

    def waiting() -> None:
        with budget.booked(80, 0):
            second.set()

    threads = [threading.Thread(target=first), threading.Thread(target=waiting)]
    threads[0].start()
    assert entered.wait(10)
    threads[1].start()
    assert not second.wait(0.2)
    leave.set()
    assert second.wait(10)
    for thread in threads:
        thread.join()
    assert budget.input_tokens == 90


def test_a_failing_request_is_closed() -> None:
    budget = Budget(max_tokens=100)
    with pytest.raises(RuntimeError), budget.booked(50, 0):
        raise RuntimeError
    with budget.booked(50, 0):
        pass
    assert budget.input_tokens == 100


def test_limits_are_checked() -> None:
    with pytest.raises(UserError, match="max_cost needs input_price and output_price"):
        Budget(max_cost=1.0, input_price=2.0)
    with pytest.raises(UserError, match="max_requests must be >= 0: got -1"):
        Budget(max_requests=-1)
