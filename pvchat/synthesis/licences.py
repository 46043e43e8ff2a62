"""Which adapters a commercial corpus may be made with."""

from collections.abc import Iterable
from typing import Any

from pvchat.errors import UserError
from pvchat.synthesis.roles import Adapter

# What to take instead of parts that are common and not for commercial use, by what their names contain.
_INSTEAD = {
    "insightface": "MTCNN and the embedded face embedding",
    "dlib-68": "MTCNN's five landmarks",
}


def terms_of(role: Any) -> Adapter:
    """What is known of the adapter of ``role`` without its weights: its ``terms``, if it has any."""
    terms: Adapter = role.terms if hasattr(role, "terms") else role.adapter
    return terms


def check_commercial(adapters: Iterable[Adapter]) -> None:
    """Raise UserError, naming all that their licence forbids and what to use instead, unless every one of
    ``adapters`` allows commercial use."""
    refused = {a.name: a for a in adapters if not a.commercial}
    if refused:
        named = "; ".join(f"{a.name} ({a.licence}): use {_instead(a)} instead" for a in refused.values())
        raise UserError(f"a commercial corpus needs parts whose licence allows that: {named}.")


def _instead(adapter: Adapter) -> str:
    name = adapter.name.casefold()
    return next((other for part, other in _INSTEAD.items() if part in name), "another adapter of its role")
