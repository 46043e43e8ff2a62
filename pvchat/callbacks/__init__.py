"""Lightning callbacks."""

from pvchat.callbacks.checkpointing import Checkpointing
from pvchat.callbacks.cost import CostMonitor
from pvchat.callbacks.early_stopping import EarlyStopping
from pvchat.callbacks.head_activation import HeadActivationMap
from pvchat.callbacks.norms import NormMonitor
from pvchat.callbacks.presence_plots import PresencePlots
from pvchat.callbacks.progress import OverallProgress
from pvchat.callbacks.run_folder import RunFolder
from pvchat.callbacks.sample_answers import SampleAnswers
from pvchat.callbacks.sparsity_controller import SparsityController
from pvchat.callbacks.stage_schedule import StageSchedule, check_groups

__all__ = [
    "Checkpointing",
    "CostMonitor",
    "EarlyStopping",
    "HeadActivationMap",
    "NormMonitor",
    "OverallProgress",
    "PresencePlots",
    "RunFolder",
    "SampleAnswers",
    "SparsityController",
    "StageSchedule",
    "check_groups",
]
