"""One plain install brings every package of the list, and each of them works beside the others.

Resolving is not enough: an unpinned list installs cleanly, then transformers disables torch and peft and
diffusers fail to import. So each package does a little real work here, in a fresh process.
"""

import importlib.util
import json
import os
import platform
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.markers import Environment, default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = [line for lines in PROJECT["optional-dependencies"].values() for line in lines]
DECLARED = [Requirement(line) for line in PROJECT["dependencies"] + EXTRAS]
PLATFORMS = {
    "linux x86_64": ("linux", "x86_64"),
    "linux aarch64": ("linux", "aarch64"),
    "macos arm64": ("darwin", "arm64"),
    "windows": ("win32", "AMD64"),
}


def environment(name: str) -> Environment:
    system, machine = PLATFORMS[name]
    return {
        **default_environment(),
        "sys_platform": system,
        "platform_machine": machine,
        "python_version": "3.11",
        "python_full_version": "3.11.7",
    }


def locked(where: Environment) -> dict[str, Version]:
    """Versions that the lock pins for an environment."""
    pins = {}
    for line in LOCK.splitlines():
        if line and not line.startswith("#"):
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate(dict(where)):
                name = canonicalize_name(requirement.name)
                assert name not in pins, f"{name} is pinned twice"
                pins[name] = Version(str(requirement.specifier).removeprefix("=="))
    return pins


@pytest.mark.parametrize("name", PLATFORMS)
def test_lock_covers_every_dependency_within_its_bounds(name: str) -> None:
    where = environment(name)
    pins = locked(where)
    for requirement in DECLARED:
        if requirement.marker is None or requirement.marker.evaluate(dict(where)):
            version = pins[canonicalize_name(requirement.name)]
            assert requirement.specifier.contains(version), f"{requirement}: locked at {version}"


def test_lock_is_for_any_plain_index() -> None:
    lines = [line for line in LOCK.splitlines() if not line.startswith("#")]
    assert not [line for line in lines if "://" in line or "+" in line or line.startswith("-")]
    assert SpecifierSet("<2.6.0,>=2.5.3").contains(locked(environment("linux x86_64"))["facenet-pytorch"])


def test_decord_is_asked_for_only_where_it_has_wheels() -> None:
    assert [name for name in PLATFORMS if "decord" in locked(environment(name))] == [
        "linux x86_64",
        "windows",
    ]
    assert all("av" in locked(environment(name)) for name in PLATFORMS)


PACKAGES = [
    "bert_score",
    "decord" if importlib.util.find_spec("decord") else "av",
    "diffusers",
    "dlib",
    "facenet_pytorch",
    "lightning",
    "omegaconf",
    "open_clip",
    "openai",
    "peft",
    "sacrebleu",
    "torchmetrics",
    "torchvision",
    "transformers",
    "wandb",
]


@pytest.fixture(scope="module")
def at_work(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each package answered when put to work: "" or the error."""
    folder = tmp_path_factory.mktemp("packages")
    script = Path(__file__).with_name("packages_at_work.py")
    done = subprocess.run(
        [sys.executable, str(script), *PACKAGES],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return result


@pytest.mark.parametrize("name", PACKAGES)
def test_package_works_beside_the_others(name: str, at_work: dict[str, str]) -> None:
    assert at_work[name] == ""


@pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64", reason="decord has no wheel for this platform"
)
def test_decord_is_here() -> None:
    assert importlib.util.find_spec("decord")
