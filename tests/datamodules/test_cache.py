"""The cache: computed once, whoever asks; damage is noticed and mended."""

import logging
import multiprocessing
import os
import time
from pathlib import Path

import pytest
import torch

from pvchat.batch import Features
from pvchat.datamodules.cache import FeatureCache
from pvchat.errors import UserError


def tensors() -> Features:
    return {"global": torch.arange(24).reshape(2, 3, 4).half(), "global.mask": torch.tensor([True, False])}


def never() -> Features:
    pytest.fail("computed again")


def same(a: Features, b: Features) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) and a[k].dtype == b[k].dtype for k in a)


def test_computed_once_and_shared(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path / "cache")
    assert "a" not in cache
    assert same(cache.get_or_compute("a", tensors), tensors())
    assert "a" in cache
    assert same(cache.get_or_compute("a", never), tensors())
    other = FeatureCache(tmp_path / "cache")
    assert same(other.get_or_compute("a", never), tensors())
    assert (cache.hits, cache.misses, other.hits, other.misses) == (1, 1, 1, 0)


def test_another_key_is_another_entry(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path)
    cache.get_or_compute("a main w1", tensors)
    cache.get_or_compute("a main w2", lambda: {"global": torch.zeros(1)})
    assert same(cache.get_or_compute("a main w1", never), tensors())
    assert same(cache.get_or_compute("a main w2", never), {"global": torch.zeros(1)})


def test_views_of_one_storage_and_odd_shapes(tmp_path: Path) -> None:
    whole = torch.arange(6.0)
    odd = {
        "a": whole[:3],
        "b": whole[3:],
        "c": whole[None].expand(2, 6),
        "d": torch.tensor(1),
        "e": whole[:0],
    }
    FeatureCache(tmp_path).get_or_compute("k", lambda: odd)
    assert same(FeatureCache(tmp_path).get_or_compute("k", never), odd)


def entry(root: Path) -> Path:
    [path] = root.rglob("*.safetensors")
    return path


@pytest.mark.parametrize("damage", ["truncated", "empty", "flipped bit", "header", "another key's entry"])
def test_damaged_entries_are_computed_again(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    FeatureCache(tmp_path).get_or_compute("k", tensors)
    path = entry(tmp_path)
    data = bytearray(path.read_bytes())
    if damage == "truncated":
        data = data[:-5]
    elif damage == "empty":
        data = bytearray()
    elif damage == "flipped bit":
        data[-30] ^= 1
    elif damage == "header":
        data[0:4] = b"\xff\xff\xff\xff"
    else:
        FeatureCache(tmp_path / "other").get_or_compute("other", tensors)
        data = bytearray(entry(tmp_path / "other").read_bytes())
    path.write_bytes(data)
    cache = FeatureCache(tmp_path)
    with caplog.at_level(logging.WARNING):
        assert same(cache.get_or_compute("k", tensors), tensors())
    assert cache.misses == 1
    assert f"cache entry {path.name} is damaged" in caplog.text
    assert same(FeatureCache(tmp_path).get_or_compute("k", never), tensors())


def test_a_failed_computation_leaves_nothing(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path)

    def fail() -> Features:
        raise UserError("clip 'x' is empty.")

    with pytest.raises(UserError, match="clip 'x' is empty"):
        cache.get_or_compute("k", fail)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []
    assert same(cache.get_or_compute("k", tensors), tensors())


def test_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", crash)
        with pytest.raises(
            UserError, match=r"the cache .* cannot be written \(.*No space left.*Set cache_dir"
        ):
            FeatureCache(tmp_path).get_or_compute("k", tensors)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_root_that_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be written"):
        FeatureCache(tmp_path / "file").get_or_compute("k", tensors)


def ask(root: Path, keys: list[str], start: float) -> None:
    """In another process: ask for every key; each computation leaves a trace."""

    def compute() -> Features:
        time.sleep(0.05)
        with open(root / "computed", "a") as trace:
            trace.write(f"{key}\n")
        return tensors()

    time.sleep(max(0.0, start - time.time()))
    cache = FeatureCache(root / "cache")
    for key in keys:
        assert same(cache.get_or_compute(key, compute), tensors())


def test_processes_compute_once(tmp_path: Path) -> None:
    keys = [f"clip {n}" for n in range(5)]
    context = multiprocessing.get_context("fork")
    start = time.time() + 0.2
    workers = [
        context.Process(target=ask, args=(tmp_path, order, start)) for order in (keys, keys, keys[::-1])
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert sorted((tmp_path / "computed").read_text().split("\n")[:-1]) == keys
    files = [p for p in (tmp_path / "cache").rglob("*") if p.is_file()]
    assert {p.suffix for p in files} == {".safetensors"}
    assert len(files) == 5
