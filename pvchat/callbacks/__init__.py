"""Lightning callbacks."""

from pvchat.callbacks.checkpointing import Checkpointing
from pvchat.callbacks.early_stopping import EarlyStopping
from pvchat.callbacks.head_activation import HeadActivationMap
from pvchat.callbacks.progress import OverallProgress
from pvchat.callbacks.run_folder import RunFolder
from pvchat.callbacks.sparsity_controller import SparsityController
from pvchat.callbacks.stage_schedule import StageSchedule, check_groups

__all__ = [
    "Checkpointing",
    "EarlyStopping",
    "HeadActivationMap",
    "OverallProgress",
    "RunFolder",
    "SparsityController",
    "StageSchedule",
    "check_groups",
]
