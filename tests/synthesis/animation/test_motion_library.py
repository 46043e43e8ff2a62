from pathlib import Path

import numpy as np
import pytest

from pvchat.errors import UserError
from pvchat.synthesis.animation.motion_library import CHANNELS, LIMITS, Curves, Motion, MotionLibrary, Track

LIBRARY = MotionLibrary()
MAIN = {
    "nod": "pitch", "shake": "yaw", "tilt": "roll", "smile": "smile", "anger": "anger", "question": "brows",
    "talk": "jaw",
}  # fmt: skip


@pytest.mark.parametrize("name", MAIN)
@pytest.mark.parametrize(("num_frames", "fps"), [(50, 25.0), (10, 5.0), (6, 25.0)])
def test_motion_shows_in_its_channel(name: str, num_frames: int, fps: float) -> None:
    for seed in range(8):
        curves = LIBRARY.curves(name, seed=seed, num_frames=num_frames, fps=fps)
        assert curves.values.shape == (num_frames, len(CHANNELS))
        spread = np.ptp(curves[MAIN[name]])
        assert spread > (5 if MAIN[name] in LIMITS else 0.2)
        still = LIBRARY.curves("still", seed=seed, num_frames=num_frames, fps=fps)
        assert np.ptp(still[MAIN[name]]) < (1.5 if MAIN[name] in LIMITS else 0.01)


def test_every_motion_stays_within_what_looks_natural() -> None:
    wild = MotionLibrary({"wild": Motion("..", tuple(Track(c, "wave", 99, hz=1) for c in CHANNELS))})
    curves = wild.curves("wild", seed=0, num_frames=40, fps=20)
    for channel, limit in {"pitch": 15, "yaw": 25, "roll": 20}.items():
        assert np.abs(curves[channel]).max() == limit
    weights = curves.values[:, 3:]
    assert weights.min() == 0
    assert weights.max() == 1


def test_speed_is_in_seconds_not_frames() -> None:
    def swings(fps: float) -> int:
        pitch = LIBRARY.curves("nod", seed=3, num_frames=int(6 * fps), fps=fps)["pitch"]
        return int((np.diff(np.sign(pitch[np.abs(pitch) > 3])) != 0).sum())

    assert abs(swings(10) - swings(40)) <= 1
    assert 10 <= swings(40) <= 20  # 6 s at 1.26 to 1.54 nods a second, two turns each


def test_seed_changes_amplitude_tempo_and_side() -> None:
    curves = [LIBRARY.curves("tilt", seed=s, num_frames=30, fps=15)["roll"] for s in range(12)]
    ends = np.array([c[-1] for c in curves])
    assert {-1.0, 1.0} == set(np.sign(ends))
    assert np.abs(ends).std() > 0.5
    again = LIBRARY.curves("tilt", seed=0, num_frames=30, fps=15)["roll"]
    np.testing.assert_array_equal(curves[0], again)


def test_people_blink_now_and_then() -> None:
    blink = LIBRARY.curves("still", seed=0, num_frames=600, fps=30)["blink"]
    closed = blink > 0.9
    count = int((np.diff(closed.astype(int)) == 1).sum())
    assert 3 <= count <= 9  # in 20 s
    assert closed.mean() < 0.1


def test_curves_and_motions_survive_a_file(tmp_path: Path) -> None:
    curves = LIBRARY.curves("talk", seed=1, num_frames=9, fps=12.5)
    curves.save(tmp_path / "curves.npz")
    loaded = Curves.load(tmp_path / "curves.npz")
    np.testing.assert_array_equal(loaded.values, curves.values)
    assert loaded.fps == 12.5
    LIBRARY.save(tmp_path / "motions.json")
    assert dict(MotionLibrary.load(tmp_path / "motions.json")) == dict(LIBRARY)


def test_files_of_others_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "curves.npz"
    np.savez(path, values=np.array([{"a": 1}], dtype=object), fps=1, channels=np.array(CHANNELS))
    with pytest.raises(UserError, match=r"curves must be an npz.*allow_pickle"):
        Curves.load(path)
    np.savez(path, values=np.zeros((2, 3)), fps=1, channels=np.array(["a", "b", "c"]))
    with pytest.raises(UserError, match="curves must have the channels pitch"):
        Curves.load(path)
    motions = tmp_path / "motions.json"
    track = '{"channel": "ears", "kind": "wave", "amplitude": 1}'
    for text in ("[]", '{"x": {"doing": "y", "mirrored": true, "tracks": [' + track + "]}}"):
        motions.write_text(text)
        with pytest.raises(UserError, match="motions must be a JSON file"):
            MotionLibrary.load(motions)


def test_unknown_motion_and_empty_clip() -> None:
    with pytest.raises(UserError, match=r"a motion must be one of nod, shake.*got 'jump'"):
        LIBRARY.curves("jump", seed=0, num_frames=2, fps=5)
    with pytest.raises(UserError, match="got 0 frames at 5 fps"):
        LIBRARY.curves("nod", seed=0, num_frames=0, fps=5)
    assert len(LIBRARY.curves("talk", seed=0, num_frames=1, fps=5)) == 1
