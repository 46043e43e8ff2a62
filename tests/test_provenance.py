"""What a run was made by, and what differs between two."""

import hashlib
import importlib.metadata
import math
import subprocess
from pathlib import Path

import pytest
import torch
from packaging.utils import canonicalize_name

from pvchat.provenance import code_fingerprint, differences, environment, git_state, packages, uncommitted


def git(folder: Path, *command: str) -> str:
    identity = ["-c", "user.name=x", "-c", "user.email=x@x"]
    return subprocess.run(
        ["git", *identity, *command], cwd=folder, capture_output=True, text=True, check=True
    ).stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "a.py").write_text("x = 1\n")
    (tmp_path / ".gitignore").write_text(".venv\n")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "first")
    return tmp_path


def test_environment_says_what_ran(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    found = environment(torch.device("cpu"))
    assert (found["threads"], found["device"], found["torch"]) == (7, "cpu", torch.__version__)
    assert found["git"] is None or len(found["git"]["commit"]) == 40
    assert len(found["code"]) == 64


def test_packages_are_all_that_are_installed() -> None:
    installed: dict[str, str] = {}
    for found in importlib.metadata.distributions():  # the first on the path is the one that is imported
        installed.setdefault(canonicalize_name(found.name), found.version)
    assert packages() == installed


def test_code_is_named_by_its_files_wherever_they_are(tmp_path: Path) -> None:
    names = []
    for folder, text in (("one", "x = 1\n"), ("two", "x = 1\n"), ("three", "x = 2\n")):
        (tmp_path / folder / "sub").mkdir(parents=True)
        (tmp_path / folder / "sub" / "a.py").write_text(text)
        names.append(code_fingerprint(tmp_path / folder))
    (tmp_path / "one" / "sub" / "a.py").rename(tmp_path / "one" / "sub" / "b.py")
    assert names[0] == names[1] != names[2]
    assert code_fingerprint(tmp_path / "one") not in names


def test_state_of_a_repository(repository: Path) -> None:
    package = repository / "package"
    commit = git(repository, "rev-parse", "HEAD").strip()
    assert git_state(package) == {"commit": commit, "changed": False, "patch": None}
    (package / "new.py").write_text("")
    assert git_state(package) == {"commit": commit, "changed": True, "patch": None}
    (package / "a.py").write_text("x = 2\n")
    patch = uncommitted(package)
    assert git_state(package) == {
        "commit": commit,
        "changed": True,
        "patch": hashlib.sha256(patch.encode()).hexdigest(),
    }
    git(repository, "checkout", "-q", "package/a.py")
    (repository / "changes.patch").write_text(patch)
    git(repository, "apply", "changes.patch")
    assert (package / "a.py").read_text() == "x = 2\n"


def test_what_is_installed_has_no_state(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even inside the repository of another project."""
    (repository / ".venv").mkdir()
    (repository / ".venv" / "a.py").write_text("")
    assert git_state(repository / ".venv") is None
    assert git_state(repository / "package") is not None
    monkeypatch.setenv("PATH", "")
    assert git_state(repository / "package") is None
    assert uncommitted(repository / "package") == ""


def test_differences_are_named_by_their_place() -> None:
    was = {"a": {"b": 1, "c": {"d": [1, 2]}, "e": {}}, "nan": math.nan, "gone": "x"}
    now = {"a": {"b": 2, "c": {"d": [1, 2]}, "e": {"f": 0}}, "nan": math.nan, "new": None}
    assert differences(was, now) == {
        "a.b": [1, 2],
        "a.e": [{}, None],
        "a.e.f": [None, 0],
        "gone": ["x", None],
    }
    assert differences(was, was) == {}
