"""The harness itself: seeds, threads, no network and the account of skips."""

import random
import socket
from pathlib import Path

import numpy as np
import pytest
import torch

from pvchat.assets import cache_dir

pytest_plugins = ["pytester"]


@pytest.mark.parametrize("_", range(2))
def test_each_test_starts_from_the_same_random_state(_: int) -> None:
    got = (random.random(), np.random.rand(), torch.rand(()).item())
    random.seed(0), np.random.seed(0), torch.manual_seed(0)
    assert got == (random.random(), np.random.rand(), torch.rand(()).item())
    assert torch.get_num_threads() == 1


def test_network_is_refused_and_this_machine_is_not() -> None:
    with pytest.raises(RuntimeError, match="the fast tier uses no network"):
        socket.create_connection(("192.0.2.1", 80), timeout=1)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        socket.create_connection(server.getsockname(), timeout=5).close()


def test_private_cache_holds_nothing_but_shared_assets(private_cache: Path) -> None:
    assert cache_dir() == private_cache
    assert [p.name for p in private_cache.iterdir()] == ["assets"]
    assert (private_cache / "assets").resolve().parent != private_cache


def test_skips_for_want_of_material_are_counted_and_named(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PVCHAT_MEDIA", raising=False)
    pytester.makeconftest(Path(__file__).with_name("conftest.py").read_text())
    pytester.makepyfile("def test_face(media): pass\n\ndef test_other(): pass\n")
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(
        ["material: PVCHAT_MEDIA not set*; 1 skipped for want of it", "*test_face: PVCHAT_MEDIA is not set*"]
    )
