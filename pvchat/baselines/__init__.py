"""What PVChat is compared with: other systems under the same data, questions, controls and metrics."""

from pvchat.baselines.baseline import Baseline
from pvchat.baselines.concept_head import ConceptHead
from pvchat.baselines.face_retrieval import FaceRetrieval
from pvchat.baselines.frame_views import FrameViews
from pvchat.baselines.in_prompt import InPrompt
from pvchat.baselines.majority import MajorityAnswer
from pvchat.baselines.zero_shot import ZeroShot

__all__ = [
    "Baseline",
    "ConceptHead",
    "FaceRetrieval",
    "FrameViews",
    "InPrompt",
    "MajorityAnswer",
    "ZeroShot",
]
