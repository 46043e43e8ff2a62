"""The same answers in groups: by type of question, truth, number of persons asked about, and provenance."""

from collections.abc import Sequence
from typing import get_args

from pvchat.batch import QuestionType
from pvchat.datamodules.manifest import Origin
from pvchat.evaluation import Prediction

Groups = dict[str, dict[str, list[Prediction]]]


def groups(predictions: Sequence[Prediction]) -> Groups:
    """Breakdown -> group -> its answers, each group apart; empty groups are left out."""
    parts: Groups = {
        "type": {kind: [p for p in predictions if p.type == kind] for kind in get_args(QuestionType)},
        "polarity": {side: [p for p in predictions if p.polarity == side] for side in ("yes", "no")},
        "persons": {},
        "provenance": {origin: [p for p in predictions if p.origin == origin] for origin in get_args(Origin)},
    }
    for count in sorted({len(p.subjects) for p in predictions}):
        parts["persons"][str(count)] = [p for p in predictions if len(p.subjects) == count]
    return {part: {name: some for name, some in named.items() if some} for part, named in parts.items()}
