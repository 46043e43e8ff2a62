"""Metrics: answers, scores and truths in, numbers out; a functional core and thin classes that add up."""

from pvchat.metrics.bert_score import BERTScore
from pvchat.metrics.bleu import CorpusBLEU
from pvchat.metrics.calibration import PresenceCalibration
from pvchat.metrics.intervals import IntervalIoU
from pvchat.metrics.naming import NamingAccuracy
from pvchat.metrics.presence import PresenceAccuracy
from pvchat.metrics.ranking import PresenceRanking
from pvchat.metrics.rubric import RubricScore

__all__ = [
    "BERTScore",
    "CorpusBLEU",
    "IntervalIoU",
    "NamingAccuracy",
    "PresenceAccuracy",
    "PresenceCalibration",
    "PresenceRanking",
    "RubricScore",
]
