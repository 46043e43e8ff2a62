"""The same answers in groups: by type of question, truth, persons asked about and shown, and provenance."""

from collections.abc import Sequence
from typing import get_args

from pvchat.batch import QuestionType
from pvchat.datamodules.manifest import Origin
from pvchat.evaluation import Prediction

COMPOSED = ("when", "who")  # types of question whose clips show as many people as we chose
Groups = dict[str, dict[str, list[Prediction]]]


def groups(predictions: Sequence[Prediction]) -> Groups:
    """Breakdown -> group -> its answers, each group apart; empty groups are left out."""
    parts: Groups = {
        "type": {kind: [p for p in predictions if p.type == kind] for kind in get_args(QuestionType)},
        "polarity": {side: [p for p in predictions if p.polarity == side] for side in ("yes", "no")},
        "persons": {},
        "on screen": {},
        "provenance": {origin: [p for p in predictions if p.origin == origin] for origin in get_args(Origin)},
    }
    for count in sorted({len(p.subjects) for p in predictions}):
        parts["persons"][str(count)] = [p for p in predictions if len(p.subjects) == count]
    composed = {p.clip_id for p in predictions if p.type in COMPOSED}
    shown = [(sum(p.presence.values()), p) for p in predictions if p.clip_id in composed]
    for count in sorted({count for count, _ in shown}):
        parts["on screen"][str(count)] = [p for there, p in shown if there == count]
    return {part: {name: some for name, some in named.items() if some} for part, named in parts.items()}
