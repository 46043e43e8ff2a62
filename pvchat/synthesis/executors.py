"""Where the work of the synthesis is done."""

from collections.abc import Callable, Iterator, Sequence

from pvchat.synthesis.roles import Item, Result


class LocalExecutor:
    """One item after the other, in this process."""

    def map(
        self, make_worker: Callable[[], Callable[[Item], Result]], items: Sequence[Item]
    ) -> Iterator[Result]:
        worker = make_worker()
        return (worker(item) for item in items)
