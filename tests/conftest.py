"""What every test gets: fixed seeds, one thread, no network; and an account of skips for want of material."""

import os

# Before anything is imported that reads them.
os.environ.update(
    HF_HUB_OFFLINE="1",
    MPLBACKEND="Agg",
    OMP_WAIT_POLICY="PASSIVE",  # idle OpenMP threads that spin make small networks up to 28x slower
    TOKENIZERS_PARALLELISM="false",
    WANDB_MODE="offline",
    WANDB_SILENT="true",
)

import random
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pvchat.assets import cache_dir

MATERIAL = {
    "PVCHAT_MEDIA": "clips and photos of real people",
    "PVCHAT_REFERENCE": "public code and data of the paper's authors",
}


def pytest_configure(config: pytest.Config) -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Every test starts from the same random state, whatever ran before it."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def no_network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fast tier talks to this machine alone (pip, which fetches embedded assets, is another process)."""
    if request.node.get_closest_marker("slow"):
        return

    def guarded(connect: Callable[..., Any]) -> Callable[..., Any]:
        def only_here(self: socket.socket, address: Any) -> Any:
            if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1"):
                raise RuntimeError(f"the fast tier uses no network: tried {address}. Mark the test slow.")
            return connect(self, address)

        return only_here

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, guarded(getattr(socket.socket, name)))


@pytest.fixture
def private_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A $PVCHAT_CACHE of the test's own, empty but for the embedded assets, which all tests share."""
    shared = cache_dir() / "assets"
    shared.mkdir(parents=True, exist_ok=True)
    cache = tmp_path / "pvchat-cache"
    cache.mkdir()
    (cache / "assets").symlink_to(shared.resolve(), target_is_directory=True)
    monkeypatch.setenv("PVCHAT_CACHE", str(cache))
    return cache


@pytest.fixture(scope="session")
def tiny_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Manifest of drawn clips about tom; what models make of them is cached beside it for all tests."""
    from tiny import make_corpus

    return make_corpus(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def tiny_run(tiny_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run trained and tested on ``tiny_corpus`` through the command line; tests that change it copy it."""
    from tiny import run_once

    return run_once(tiny_corpus, tmp_path_factory.mktemp("runs"))


def _material(variable: str) -> Path:
    value = os.environ.get(variable)
    if not value:
        pytest.skip(f"{variable} is not set ({MATERIAL[variable]})")
    folder = Path(value)
    if not folder.is_dir():
        pytest.fail(f"{variable} must name a folder: got {value!r}.")
    return folder


@pytest.fixture(scope="session")
def media() -> Path:
    """Clips and photos of real people, which are not part of the project: $PVCHAT_MEDIA."""
    return _material("PVCHAT_MEDIA")


@pytest.fixture(scope="session")
def reference() -> Path:
    """The authors' public code and data, which are not part of the project: $PVCHAT_REFERENCE."""
    return _material("PVCHAT_REFERENCE")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say what the run had no material for: a skip nobody sees is a test nobody has."""
    missing = [
        (report.nodeid, report.longrepr[2])
        for report in terminalreporter.stats.get("skipped", [])
        if isinstance(report.longrepr, tuple) and any(name in report.longrepr[2] for name in MATERIAL)
    ]
    state = ", ".join(f"{name} {'set' if os.environ.get(name) else 'not set'}" for name in MATERIAL)
    terminalreporter.write_line(f"material: {state}; {len(missing)} skipped for want of it")
    for nodeid, reason in missing:
        terminalreporter.write_line(f"  {nodeid}: {reason.removeprefix('Skipped: ')}")
