"""What made a run: code, packages, machine. And what differs between two of them."""

import hashlib
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from packaging.utils import canonicalize_name

from pvchat import __version__

LARGEST_PATCH = 1_000_000  # bytes that are kept; of more there is the digest alone
Differences = dict[str, list[Any]]
"""Name -> what it was, what it is; None where it was not recorded."""

_HERE = Path(__file__).parent


def environment(device: torch.device) -> dict[str, Any]:
    """Python, platform, all packages, threads, ``device``, and the code: sha256 of pvchat's files and the git
    state. For ``run.json``."""
    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "cpu": f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}",
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,  # with its build, which the package's version leaves out
        "packages": packages(),
        "pvchat": __version__,
        "code": code_fingerprint(),
        "git": git_state(),
    }


def packages() -> dict[str, str]:
    """Version of every installed package. By the names of their folders: importlib.metadata reads a file of
    each, which takes a third of a second."""
    folders = [path for entry in reversed(sys.path) for path in Path(entry).glob("*.dist-info")]
    parts = (path.stem.rpartition("-") for path in folders)
    return dict(sorted((canonicalize_name(name), version) for name, _, version in parts))


def code_fingerprint(folder: Path = _HERE) -> str:
    """Of every Python file below ``folder``, committed or not."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(f"{path.relative_to(folder).as_posix()}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def git_state(folder: Path = _HERE) -> dict[str, Any] | None:
    """Commit, whether anything is ``changed``, sha256 of the ``patch``. None where ``folder`` is not under
    version control, as that of an installed package."""
    if not _git(folder, "ls-files", "."):
        return None
    patch = uncommitted(folder)
    return {
        "commit": _git(folder, "rev-parse", "HEAD").strip(),
        "changed": bool(_git(folder, "status", "--porcelain")),
        "patch": hashlib.sha256(patch.encode()).hexdigest() if patch else None,
    }


def uncommitted(folder: Path = _HERE) -> str:
    """Changes of tracked files as ``git apply`` takes them; empty if there are none, or no repository."""
    return _git(folder, "diff", "HEAD", "--binary")


def differences(was: Mapping[str, Any], now: Mapping[str, Any]) -> Differences:
    """What is not equal in two nested records, by dotted names."""
    a, b = dict(_leaves(was)), dict(_leaves(now))
    names = [*a, *(name for name in b if name not in a)]
    return {name: [a.get(name), b.get(name)] for name in names if not _equal(a.get(name), b.get(name))}


def _leaves(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in record.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _equal(a: object, b: object) -> bool:
    return a == b or (a != a and b != b)  # nan is nan


def _git(folder: Path, *command: str) -> str:
    try:
        done = subprocess.run(["git", *command], capture_output=True, check=True, cwd=folder, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode("utf-8", "replace")
