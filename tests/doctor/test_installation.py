"""Each check passes on this machine, and fails when what it looks at is broken."""

from pathlib import Path

import numpy as np
import pytest

from pvchat.assets import ASSETS
from pvchat.datamodules import video
from pvchat.doctor import installation
from pvchat.errors import UserError
from pvchat.faces import FaceAnalyzer


@pytest.mark.parametrize("name", sorted(installation.CHECKS.keys() - {"cache"}))
def test_this_machine_is_well(name: str) -> None:
    assert installation.CHECKS[name]()


def test_the_cache_is_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PVCHAT_CACHE", str(tmp_path / "cache"))
    found = installation.cache()
    assert str(tmp_path / "cache") in found
    assert f"0 of {len(ASSETS)} pretrained parts ready; pvchat assets prefetch fetches the rest" in found


@pytest.mark.parametrize(
    ("needs", "said"),
    [
        (["no-such-package>=1"], "no-such-package is missing"),
        (["numpy<1"], "numpy .* is not <1"),
        (["no-such-package; sys_platform == 'beos'"], None),
        (["no-such-package; extra == 'dev'"], None),
    ],
)
def test_packages(needs: list[str], said: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "requires", lambda name: needs)
    if said is None:
        assert installation.packages()
    else:
        with pytest.raises(AssertionError, match=said):
            installation.packages()


def test_a_reader_that_returns_other_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    read = video.decode
    monkeypatch.setattr(video, "decode", lambda path, **options: read(path, **options | {"start_s": 0.3}))
    with pytest.raises(AssertionError, match="brightness"):
        installation.video()


def test_a_detector_that_sees_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FaceAnalyzer, "detect", lambda self, frames: [[] for _ in frames])
    with pytest.raises(AssertionError, match="0 faces"):
        installation.faces()


def test_a_step_that_breaks_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    from pvchat.training import PersonalizedVideoChat

    state = PersonalizedVideoChat.trainable_state
    monkeypatch.setattr(
        PersonalizedVideoChat, "trainable_state", lambda self: {n: v * np.nan for n, v in state(self).items()}
    )
    with pytest.raises((AssertionError, UserError), match="finite"):
        installation.training()
