"""The worst mistakes of a test: what was asked, said and true, beside frames of the clip."""

import html
from collections.abc import Iterable

from pvchat.datamodules.manifest import Record
from pvchat.evaluation import Prediction
from pvchat.metrics.functional.presence import parse_presence
from pvchat.reporting.frame_strip import frame_strip
from pvchat.reporting.page import card
from pvchat.subjects import mention, mentions

MOST_TEXT = 400


def worst(predictions: Iterable[Prediction], *, threshold: float) -> list[Prediction]:
    """The wrong answers about presence, the surest first; of each clip one, so that a clip does not fill the
    list. Where the answer is not parsed or absent the score decides."""
    asked = [p for p in predictions if p.control == "main" and p.polarity is not None]
    wrong = [p for p in asked if not _is_right(p, threshold)]
    first: dict[str, Prediction] = {}
    for p in sorted(wrong, key=lambda p: (-abs(p.score - threshold), p.id)):
        first.setdefault(p.clip_id, p)
    return list(first.values())


def mistake_card(p: Prediction, clip: Record | None) -> str:
    """HTML of a mistake; without a picture where its ``clip`` cannot be read."""
    return card(frame_strip(clip), _caption(p))


def _is_right(p: Prediction, threshold: float) -> bool:
    truth = {name: p.presence[name] for name in p.subjects}
    said = parse_presence(p.answer or "", p.subjects) if p.answer else {}
    if any(said.get(name) is None for name in truth):
        return (p.score > threshold) is (p.polarity == "yes")
    return said == truth


def _caption(p: Prediction) -> str:
    who = " and ".join(f"{name}{'' if p.presence[name] else ' not'} there" for name in p.subjects)
    return (
        f"<b>{_text(p.question)}</b>"
        f'<div><span class="tag wrong">said</span> {_text(p.answer or "(nothing)")}</div>'
        f'<div><span class="tag right">true</span> {_text(p.reference)}</div>'
        f'<div class="quiet">{html.escape(f"{p.clip_id}, {p.origin}; {who}; score {p.score:.2f}")}</div>'
    )


def _text(text: str) -> str:
    """Escaped, with plain names, and short."""
    for name in mentions(text[:MOST_TEXT]):
        text = text.replace(mention(name), name)
    cut = f"{text[:MOST_TEXT]} … ({len(text)} characters)" if len(text) > MOST_TEXT else text
    return html.escape(cut)
