"""Pytest plugin for machines too slow to run every test: those that changed last run first, until time is up.

``pytest -p deadline`` with this folder in PYTHONPATH and the deadline, in seconds since 1970, in CI_DEADLINE.
What is left then is skipped, and counted as such.
"""

import os
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def last_changes() -> list[str]:
    """Test files as git names them, what changed last first."""
    log = ["git", "log", "--format=", "--name-only", "--", "tests"]
    found = subprocess.run(log, cwd=ROOT, capture_output=True, text=True, check=False)
    return list(dict.fromkeys(found.stdout.split()))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    rank = {str(ROOT / name): number for number, name in enumerate(last_changes())}
    items.sort(key=lambda item: rank.get(str(item.path), -1))  # stable; -1: not yet committed


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if time.time() > float(os.environ["CI_DEADLINE"]):
        pytest.skip("no time left on this slow machine")
