"""What was made last, kept by key."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")


class Recent(Generic[Item]):
    """The ``count`` items used last."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._items: OrderedDict[str, Item] = OrderedDict()

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process begins with nothing."""
        return Recent, (self._count,)

    def get(self, key: str, make: Callable[[], Item]) -> Item:
        """The item of ``key``, made if it is not kept any more."""
        item = self._items.pop(key) if key in self._items else make()
        self._items[key] = item
        if len(self._items) > self._count:
            self._items.popitem(last=False)
        return item
