"""When is somebody on screen? Intervals in seconds, read off answers and compared.

Read are "from 2.0 s to 3.5 s", "between 2 and 3.5 seconds", "2-3.5 s", "0:02 to 0:03.5", "[2.0, 3.5]",
several of them, "from the start to 3 s", "from 3 s to the end", "throughout the video", and that somebody
never appears. Anything else, a moment ("at 3 s") or a denied interval among them, is not guessed."""

import math
import re
from collections.abc import Sequence

from pvchat.errors import UserError

Interval = tuple[float, float]
"""Start and end, seconds."""

_TIME = r"(?<![\d.:])(?:(?:\d{1,2}:)?\d{1,2}:\d\d|\d{1,6})(?:\.\d{1,9})?(?![\d:])"
_UNIT = r"(?:\s?(?:s|secs?|seconds?)\b)"
_START, _END = r"the (?:very )?(?:start|beginning)", r"the (?:very )?end"
_RANGE = re.compile(
    rf"(?:\b(?P<word>from|between)\s+)?(?P<a>{_TIME}|{_START})(?P<unit>{_UNIT})?"
    rf"(?:\s+(?P<link>to|and|until|till|through)\s+|\s?[-–—]\s?)(?P<b>{_TIME}|{_END})(?P<last>{_UNIT})?"  # noqa: RUF001
    r"(?P<bare>(?=\s*(?:$|[.,;!)]|and\b|then\b|in\b)))?",
    re.I,
)
_BRACKET = re.compile(rf"[\[(]\s*(?P<a>{_TIME}){_UNIT}?\s*,\s*(?P<b>{_TIME}){_UNIT}?\s*[\])]", re.I)
_ALWAYS = re.compile(r"\b(?:throughout|the (?:whole|entire) (?:time|video|clip)|all the time)\b", re.I)
_NEVER = re.compile(
    r"\bnever\b|\b(?:is|does|was|did)(?: not|n't)\b|\bnot (?:here|present|visible|shown|in)\b"
    r"|\bno (?:sign|trace)\b|\bat no (?:time|point)\b|\babsent\b|^\s*(?:no|none|nowhere)\b",
    re.I,
)
_DOUBT = re.compile(
    r"\b(?:or|maybe|perhaps|may|might|could|except|but|unless|without|until)\b|\?|n't\b|\bnot\b", re.I
)


def parse_intervals(answer: str, *, clip_seconds: float | None = None) -> list[Interval] | None:
    """The intervals that ``answer`` tells, merged and in order; empty if it says never; None if unparsed.

    ``clip_seconds``, the length of the clip, is what "the end" and "throughout" mean; what begins in the clip
    ends there at the latest."""
    text = " ".join(answer.replace("’", "'").split())  # noqa: RUF001
    end = math.inf if clip_seconds is None else clip_seconds
    found: list[Interval] = []
    rest = text
    for pattern in (_BRACKET, _RANGE):
        for match in pattern.finditer(rest):
            interval = _interval(match, end)
            if interval is None:
                return None
            found.append(interval)
        rest = pattern.sub(" ", rest)
    always, never = _ALWAYS.search(rest), _NEVER.search(rest)
    if re.search(r"\d", rest) or len(found) + bool(always) + bool(never) == 0:
        return None
    if never:
        return None if found or always else []
    if _DOUBT.search(rest) or (always and (found or clip_seconds is None)):
        return None
    found = [(0.0, end)] if always else found
    if any(not math.isfinite(b) for _, b in found):
        return None
    return merge([(a, min(b, end) if a < end else b) for a, b in found])


def merge(intervals: Sequence[Interval]) -> list[Interval]:
    """The same seconds as intervals that neither touch nor overlap, in order. Raises UserError."""
    result: list[Interval] = []
    for start, end in sorted(intervals):
        if not (0 <= start <= end < math.inf):
            raise UserError(f"an interval must have 0 <= start <= end: got ({start}, {end}).")
        if start == end:
            continue
        if result and start <= result[-1][1]:
            result[-1] = (result[-1][0], max(end, result[-1][1]))
        else:
            result.append((start, end))
    return result


def intersection_and_union(preds: Sequence[Interval], target: Sequence[Interval]) -> tuple[float, float]:
    """Seconds that both tell, and seconds that either tells."""
    a, b = merge(preds), merge(target)
    both = sum(max(0.0, min(p[1], t[1]) - max(p[0], t[0])) for p in a for t in b)
    return both, sum(end - start for start, end in (*a, *b)) - both


def interval_iou(preds: Sequence[Interval], target: Sequence[Interval]) -> float:
    """Intersection over union in seconds; 1 where both are empty: never is right."""
    both, either = intersection_and_union(preds, target)
    return both / either if either else 1.0


def _interval(match: re.Match[str], end: float) -> Interval | None:
    """None where the match is a range of something else, or runs backwards."""
    parts = match.groupdict()
    a = 0.0 if parts["a"][0] in "tT" else _seconds(parts["a"])
    b = end if parts["b"][0] in "tT" else _seconds(parts["b"])
    if match.re is _RANGE:
        if (parts["link"] or "").lower() == "and" and (parts["word"] or "").lower() != "between":
            return None
        timed = parts["unit"] or parts["last"] or not (parts["a"] + parts["b"]).replace(".", "").isdecimal()
        if not timed and not (parts["word"] and parts["bare"] is not None):
            return None
    return (a, b) if a < b else None


def _seconds(text: str) -> float:
    total = 0.0
    for part in text.split(":"):
        total = total * 60 + float(part)
    return total
