"""Losses: tensors and routings in, a scalar out."""

from pvchat.losses.head_activation import HeadActivation
from pvchat.losses.language_modeling import AnswerCrossEntropy
from pvchat.losses.load_balance import LoadBalance
from pvchat.losses.objective import Objective, ObjectiveOutput
from pvchat.losses.query_presence import PresenceLoss
from pvchat.losses.routing_sparsity import RoutingSparsity

__all__ = [
    "AnswerCrossEntropy",
    "HeadActivation",
    "LoadBalance",
    "Objective",
    "ObjectiveOutput",
    "PresenceLoss",
    "RoutingSparsity",
]
