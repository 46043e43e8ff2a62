"""What every adapter of a role must do, whoever wrote it: call it from the adapter's own test."""

import numpy as np
import pytest

from pvchat.errors import UserError
from pvchat.synthesis.roles import Adapter, Frames, Made, PortraitAnimator


def check_portrait_animator(
    animator: PortraitAnimator,
    photo: Frames,
    motions: tuple[str, str],
    *,
    num_frames: int = 6,
    fps: float = 5,
) -> None:
    """Raises AssertionError, in words, when ``animator`` breaks the contract of its role on ``photo``."""

    def animate(motion: str, seed: int, of: Frames = photo) -> Made:
        return animator.animate(of, motion, seed=seed, num_frames=num_frames, fps=fps)

    made = animate(motions[0], 1)
    check_made(made, animator.adapter, seed=1, command=motions[0])
    assert made.frames.shape == (num_frames, *photo.shape), "frames must be like the photo"
    assert made.fps == fps, "frame rate ignored"
    assert np.abs(np.diff(made.frames.astype(int), axis=0)).mean() > 0.05, "nothing moves"
    again, other_seed, other_motion = animate(motions[0], 1), animate(motions[0], 2), animate(motions[1], 1)
    assert np.array_equal(made.frames, again.frames), "same seed, other bytes"
    assert made.inputs == again.inputs, "same photo, other hash"
    assert not np.array_equal(made.frames, other_seed.frames), "seed ignored"
    assert not np.array_equal(made.frames, other_motion.frames), "motion ignored"
    assert animate(motions[0], 1, photo[:, ::-1].copy()).inputs != made.inputs, "another photo, same hash"
    with pytest.raises(UserError, match="face"):
        animate(motions[0], 1, np.full((160, 160, 3), 128, np.uint8))
    with pytest.raises(UserError, match="no such motion"):
        animate("no such motion", 1)


def check_made(made: Made, adapter: Adapter, *, seed: int, command: str) -> None:
    """The history of what was made is complete."""
    assert made.frames.dtype == np.uint8, "frames must be uint8"
    assert (made.adapter, made.seed, made.command) == (adapter, seed, command), "history is wrong"
    assert made.inputs, "inputs must be named by their hashes"
    assert all(len(name) >= 8 for name in made.inputs), "hashes are too short"
    texts = (adapter.name, adapter.version, adapter.licence, adapter.fingerprint)
    assert all(texts), "adapter says too little about itself"
