"""Ratings of answers: entity specificity and descriptive completeness by a judge, and proxies by rule."""

from pvchat.judging.agreement import Agreement, agreement
from pvchat.judging.items import Item, Rating, unscored
from pvchat.judging.judge import Judge
from pvchat.judging.proxy import detail_proxy, entity_proxy
from pvchat.judging.rubrics import RUBRICS, Rubric

__all__ = [
    "RUBRICS",
    "Agreement",
    "Item",
    "Judge",
    "Rating",
    "Rubric",
    "agreement",
    "detail_proxy",
    "entity_proxy",
    "unscored",
]
