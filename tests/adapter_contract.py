"""What every adapter of a role must do, whoever wrote it: call it from the adapter's own test."""

from collections.abc import Callable

import numpy as np
import pytest

from pvchat.errors import UserError
from pvchat.synthesis.roles import (
    Adapter,
    Frames,
    IdentityImageSynthesizer,
    IdentityVideoSynthesizer,
    Made,
    PortraitAnimator,
)


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


def check_video_synthesizer(
    synthesizer: IdentityVideoSynthesizer,
    photo: Frames,
    other: Frames,
    prompts: tuple[str, str],
    *,
    num_frames: int = 6,
) -> None:
    """Raises AssertionError, in words, when ``synthesizer`` breaks the contract of its role on ``photo`` and
    on ``other``, a photo of somebody else."""

    def film(prompt: str, seed: int, of: Frames = photo) -> Made:
        return synthesizer.film(of, prompt, seed=seed, num_frames=num_frames)

    made = _check_prompted(film, synthesizer.adapter, photo, other, prompts)
    assert len(made.frames) == num_frames, "number of frames ignored"
    assert made.fps > 1, "frame rate missing"


def check_image_synthesizer(
    synthesizer: IdentityImageSynthesizer, photo: Frames, other: Frames, prompts: tuple[str, str]
) -> None:
    """The same for one that draws."""

    def draw(prompt: str, seed: int, of: Frames = photo) -> Made:
        return synthesizer.draw([of], prompt, seed=seed)

    made = _check_prompted(draw, synthesizer.adapter, photo, other, prompts)
    assert len(made.frames) == 1, "one frame is asked for"
    two = synthesizer.draw([photo, other], prompts[0], seed=1)
    assert len(two.inputs) == 2, "each photo is an input"
    assert not np.array_equal(two.frames, made.frames), "second photo ignored"


def _check_prompted(
    make: Callable[..., Made], adapter: Adapter, photo: Frames, other: Frames, prompts: tuple[str, str]
) -> Made:
    made: Made = make(prompts[0], 1)
    check_made(made, adapter, seed=1, command=prompts[0])
    assert made.frames.ndim == 4, "frames must be (T, H, W, 3)"
    again = make(prompts[0], 1)
    assert np.array_equal(made.frames, again.frames), "same seed, other bytes"
    assert made.inputs == again.inputs, "same photo, other hash"
    for what, different in (
        ("seed", make(prompts[0], 2)),
        ("prompt", make(prompts[1], 1)),
        ("person", make(prompts[0], 1, other)),
    ):
        changed = np.abs(made.frames.astype(int) - different.frames).mean()
        assert changed > 0.5, f"{what} ignored: frames differ by {changed:.3f} of 255"
    assert make(prompts[0], 1, other).inputs != made.inputs, "another photo, same hash"
    with pytest.raises(UserError, match="face"):
        make(prompts[0], 1, np.full((160, 160, 3), 128, np.uint8))
    return made
