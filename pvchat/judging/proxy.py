"""Offline stand-ins for a judge, by rule, in [0, 1] and under names of their own: they are not ES or DC.

They tell runs apart where no judge can be asked, and see neither wording nor sense.
"""

import re
from collections.abc import Callable, Sequence

from pvchat.errors import UserError
from pvchat.judging.items import Item, Rating
from pvchat.metrics.functional.presence import parse_presence

Measure = Callable[[Item, str], tuple[float | None, str]]

_WORD = re.compile(r"[^\W_]+(?:['\u2019-][^\W_]+)*")
_EMPTY = """
    a about above after all also an and any are around as at be been before being below beside between both
    but by can clip could do does doing down each either footage for from had has have he her here hers him
    his i if in into is it it's its me more most my neither no nor not of off on one only or our out over
    scene seem seems she should so some someone somebody such than that the their them then there these they
    this those through to under up very video was we were what when where which while who whom whose will
    with would yes you your
    """


def entity_proxy(items: Sequence[Item]) -> list[Rating]:
    """Share of the persons asked about of whom the answer speaks by name and says what is true: not
    that who is on screen is absent, and that who is absent is. Unscored where nobody is asked about."""
    return [_rated(item, _entity) for item in items]


def detail_proxy(items: Sequence[Item]) -> list[Rating]:
    """F1 of the content words of the answer against those of the reference: different words but for persons'
    names and words without content. 0 where the answer says the opposite of who is on screen. Unscored where
    the reference has no content words."""
    return [_rated(item, _detail) for item in items]


def content_words(text: str, names: Sequence[str] = ()) -> frozenset[str]:
    """Words of ``text`` in lower case without ``names`` and without English words that carry no content."""
    nameless = {word for name in names for word in _words(name)}
    return _words(text) - nameless - set(_EMPTY.split())


def _rated(item: Item, measure: Measure) -> Rating:
    if item.answer is None:
        return Rating(item.id, None, "no answer was written")
    try:
        score, reason = measure(item, item.answer)
    except UserError as error:
        return Rating(item.id, None, str(error))
    return Rating(item.id, score, reason)


def _entity(item: Item, answer: str) -> tuple[float | None, str]:
    if not item.subjects:
        return None, "nobody is asked about"
    said = parse_presence(answer, item.subjects)
    right = [
        name
        for name in item.subjects
        if _is_named(name, answer)
        and (said[name] is not False if item.presence.get(name) else said[name] is False)
    ]
    return len(right) / len(item.subjects), f"right by name: {', '.join(right) or 'nobody'}"


def _detail(item: Item, answer: str) -> tuple[float | None, str]:
    names = (*item.subjects, *item.presence)
    wanted, given = content_words(item.reference, names), content_words(answer, names)
    if not wanted:
        return None, "the reference has no content words"
    if item.subjects:
        said = parse_presence(answer, item.subjects)
        wrong = [n for n in item.subjects if said[n] is not None and said[n] is not item.presence.get(n)]
        if wrong:
            return 0.0, f"says the opposite of who is on screen: {', '.join(wrong)}"
    shared = wanted & given
    return 2 * len(shared) / (len(wanted) + len(given)), f"shared: {', '.join(sorted(shared)) or 'nothing'}"


def _is_named(name: str, answer: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(name.casefold())}(?!\w)", answer.casefold()) is not None


def _words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text.casefold()))
