"""What may be used of an endpoint: requests, tokens, money. Checked before a request, not after."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pvchat.errors import UserError


@dataclass
class Booking:
    """Tokens set aside for one request: the most it can use, and what it did use once that is known."""

    input_tokens: int
    output_tokens: int


class Budget:
    """Limits over all requests of a process; None is no limit. What is cached costs nothing.

    ``max_cost`` is in the currency of the prices, which are per million tokens. A request is refused if the
    most it can use does not fit: its bytes (``tokens_per_image`` for an image, which no client can know) and
    the longest answer allowed. Requests without an answer count too, a timeout with all it may have cost."""

    def __init__(
        self,
        *,
        max_requests: int | None = None,
        max_tokens: int | None = None,
        max_cost: float | None = None,
        input_price: float | None = None,
        output_price: float | None = None,
        tokens_per_image: int = 2048,
    ) -> None:
        if max_cost is not None and (input_price is None or output_price is None):
            raise UserError(
                "max_cost needs input_price and output_price, per million tokens: got "
                f"input_price={input_price}, output_price={output_price}. Give both."
            )
        limits = {"max_requests": max_requests, "max_tokens": max_tokens, "max_cost": max_cost}
        prices = {"input_price": input_price, "output_price": output_price}
        for name, value in {**limits, **prices}.items():
            if value is not None and value < 0:
                raise UserError(f"{name} must be >= 0: got {value}.")
        self.limits = limits
        self.prices = (input_price or 0.0, output_price or 0.0)
        self.tokens_per_image = tokens_per_image
        self.requests = self.input_tokens = self.output_tokens = 0
        self._open: list[Booking] = []
        self._changed = threading.Condition()

    @property
    def cost(self) -> float:
        return self._cost(self.input_tokens, self.output_tokens)

    @contextmanager
    def booked(self, input_tokens: int, output_tokens: int) -> Iterator[Booking]:
        """Set aside the most a request can use, waiting for requests under way where only they are in the
        way; what the booking says at the end is what was used. Raises UserError when it does not fit."""
        booking = Booking(input_tokens, output_tokens)
        with self._changed:
            while why := self._refusal(booking):
                if not self._open:
                    raise UserError(why)
                self._changed.wait()
            self.requests += 1
            self._open.append(booking)
        try:
            yield booking
        finally:
            with self._changed:
                self._open.remove(booking)
                self.input_tokens += booking.input_tokens
                self.output_tokens += booking.output_tokens
                self._changed.notify_all()

    def _refusal(self, booking: Booking) -> str | None:
        if self.limits["max_requests"] is not None and self.requests >= self.limits["max_requests"]:
            return self._spent("max_requests", f"{self.requests} requests were made")
        ahead = [*self._open, booking]
        inputs = self.input_tokens + sum(b.input_tokens for b in ahead)
        outputs = self.output_tokens + sum(b.output_tokens for b in ahead)
        used = {"max_tokens": inputs + outputs, "max_cost": self._cost(inputs, outputs)}
        for name, most in used.items():
            limit = self.limits[name]
            if limit is not None and most > limit:
                done = f"{self.input_tokens + self.output_tokens} tokens were used"
                done += f" for {self.cost:.4g}" if name == "max_cost" else ""
                return self._spent(name, f"{done}, with the next request it could be {most:.6g}")
        return None

    def _spent(self, name: str, done: str) -> str:
        return (
            f"the budget {name}={self.limits[name]:g} ends here: {done}. "
            f"Raise {name} to go on; answers so far are kept."
        )

    def _cost(self, input_tokens: int, output_tokens: int) -> float:
        return (input_tokens * self.prices[0] + output_tokens * self.prices[1]) / 1e6
