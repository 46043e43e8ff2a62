"""What is wrong with a request is said at once: before heavy imports, downloads and face work."""

import argparse
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest

from pvchat.commands import build_parser
from pvchat.errors import UserError
from pvchat.quickstart import request as quickstart


def request(*arguments: str) -> argparse.Namespace:
    return build_parser().parse_args(["quickstart", *arguments])


@pytest.fixture
def own(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "tom.jpg").touch()
    (tmp_path / "others").mkdir()
    given = {"subject": "tom", "reference": tmp_path / "tom.jpg", "negatives": tmp_path / "others"}
    return {f"--{name}": str(value) for name, value in given.items()}


def test_nothing_heavy_is_loaded_first() -> None:
    heavy = "{'torch', 'lightning', 'transformers', 'av', 'skimage'}"
    code = f"import sys, pvchat.quickstart.request; assert not {heavy} & set(sys.modules), sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_whole_requests_pass(own: dict[str, str]) -> None:
    quickstart.check_request(request())
    quickstart.check_request(request(*[word for pair in own.items() for word in pair], "--face", "2"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"--reference": None, "--negatives": None}, "got no --reference and no --negatives"),
        ({"--reference": "/no/tom.jpg"}, "--reference is a clip, photos .*: /no/tom.jpg does not exist"),
        ({"--negatives": "/no/others"}, "--negatives is a folder .*: /no/others is none"),
        ({"--subject": "<x>"}, "a subject name is 1-40 letters"),
    ],
)
def test_refusals(own: dict[str, str], changes: dict[str, str | None], message: str) -> None:
    words = [word for pair in (own | changes).items() if pair[1] is not None for word in pair]
    with pytest.raises(UserError, match=message):
        quickstart.check_request(request(*words))


def test_a_face_needs_a_reference() -> None:
    with pytest.raises(UserError, match="--face chooses a face of your --reference: got none"):
        quickstart.check_request(request("--face", "1"))


def test_the_run_folder_is_tried_out_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"/file/x/quickstart/.* cannot be written: Not a directory"):
        quickstart.make_run(str(tmp_path / "file" / "x"))

    def full(**_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("tempfile.TemporaryFile", full)
        with pytest.raises(UserError, match="cannot be written: No space left on device"):
            quickstart.make_run(str(tmp_path / "runs"))
    usage = namedtuple("usage", "free")
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: usage(7_000_000))
        with pytest.raises(UserError, match="a run needs 400 MB: 7 MB are free"):
            quickstart.make_run(str(tmp_path / "runs"))
    assert not list((tmp_path / "runs").iterdir())
    assert quickstart.make_run(str(tmp_path / "runs")).is_dir()


def test_a_failure_leaves_no_empty_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupted in the first steps; what a later step wrote is kept."""
    folders: list[Path] = []

    def stopped(_: Any, own: None, run_dir: Path) -> None:
        folders.append(run_dir)
        if len(folders) == 2:
            (run_dir / "config.yaml").touch()
        raise KeyboardInterrupt

    monkeypatch.setattr("pvchat.quickstart.steps.run_steps", stopped)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            quickstart.main(request("--runs", str(tmp_path)))
    assert [f.exists() for f in folders][1]
    assert sum(1 for _ in (tmp_path / "quickstart").iterdir()) == 1
