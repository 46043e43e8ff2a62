import numpy as np
import pytest

from pvchat.errors import UserError
from pvchat.synthesis.motions import MOTIONS, Pose, doing, poses


def test_what_is_commanded_is_what_happens() -> None:
    frames = {m: poses(m, num_frames=9) for m in MOTIONS}
    spread = {
        m: {k: np.ptp([getattr(p, k) for p in track]) for k in ("yaw", "pitch", "tilt", "sway", "scale")}
        for m, track in frames.items()
    }
    strongest = {m: max(s, key=lambda k: s[k]) for m, s in spread.items()}
    wanted = {"nod": "pitch", "shake": "yaw", "tilt": "tilt", "sway": "sway", "approach": "scale"}
    assert {m: strongest[m] for m in wanted} == wanted
    assert set(frames["still"]) == {Pose()}


def test_turns_stay_moderate() -> None:
    for motion in MOTIONS:
        for pose in poses(motion, num_frames=20, amplitude=1.15):
            assert abs(pose.yaw) < np.radians(25)
            assert abs(pose.pitch) < np.radians(22)


def test_names() -> None:
    assert doing("nod") == "nodding"
    with pytest.raises(UserError, match=r"one of nod, shake, .*: got 'fly'"):
        poses("fly", num_frames=2)
