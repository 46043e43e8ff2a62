"""Shards we read and write are the library's; what is not whole is refused in a sentence."""

import gc
import json
import shutil
import weakref
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from pvchat.errors import UserError
from pvchat.modules.published.shards import INDEX, Planned, read_file, read_folder, write_file, write_folder

SHARD = "model-00002-of-00003.safetensors"


def test_reads_what_the_library_wrote(published: Path, everything: dict[str, Tensor]) -> None:
    stored = read_folder(published)
    assert stored.keys() == everything.keys()
    assert all(torch.equal(stored[name].read(), value) for name, value in everything.items())


def test_the_library_reads_what_we_wrote(tmp_path: Path) -> None:
    """Also where types are mixed, and for a tensor without dimensions or numbers."""
    tensors = {
        "odd": torch.randn(3).bfloat16(),
        "ids": torch.arange(5),
        "table": torch.randn(4, 2).half(),
        "one": torch.tensor(2.5),
        "none": torch.zeros(0, 7),
    }
    plan = [Planned(name, value.dtype, tuple(value.shape)) for name, value in tensors.items()]
    write_folder(tmp_path / "out", plan, tensors.__getitem__, shard_bytes=40)
    found = {n: v for p in (tmp_path / "out").glob("*.safetensors") for n, v in load_file(p).items()}
    assert len(list((tmp_path / "out").glob("*.safetensors"))) > 1
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[name], value) for name, value in tensors.items())
    again = read_folder(tmp_path / "out")
    assert all(torch.equal(again[name].read(), value) for name, value in tensors.items())


def test_one_tensor_in_memory_at_a_time(tmp_path: Path) -> None:
    alive: list[weakref.ref[Tensor]] = []

    def read(name: str) -> Tensor:
        gc.collect()
        assert all(ref() is None for ref in alive)
        value = torch.zeros(8)
        alive.append(weakref.ref(value))
        return value

    write_file(tmp_path / "x.safetensors", [Planned(str(i), torch.float32, (8,)) for i in range(4)], read)
    assert len(alive) == 4


def test_what_fails_half_way_leaves_no_file(tmp_path: Path) -> None:
    def read(name: str) -> Tensor:
        return torch.zeros(2 if name == "a" else 3)

    with pytest.raises(ValueError, match=r"b must be \(2,\): got \(3,\)"):
        write_file(tmp_path / "x.safetensors", [Planned(n, torch.float32, (2,)) for n in "ab"], read)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_noticed_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10_000_000))
    with pytest.raises(UserError, match=r"needs 4\.0 GB: its disk has 0\.0 GB free"):
        write_folder(tmp_path, [Planned("a", torch.float32, (10**9,))], lambda _: torch.zeros(1))
    assert list(tmp_path.iterdir()) == []


def test_a_truncated_shard(published: Path) -> None:
    path = published / SHARD
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(
        UserError, match=r"00002-of-00003.safetensors is truncated or damaged: it has \d+ of \d+"
    ):
        read_folder(published)


def test_a_shard_cut_inside_its_header(published: Path) -> None:
    path = published / SHARD
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError, match="is no whole safetensors file: it has 100 bytes"):
        read_folder(published)


@pytest.mark.parametrize("content", [b"version https://git-lfs.github.com/spec/v1\n", b"", b"{}"])
def test_a_stub_of_git_lfs(published: Path, content: bytes) -> None:
    (published / SHARD).write_bytes(content)
    with pytest.raises(UserError, match="safetensors file"):
        read_folder(published)


@pytest.mark.parametrize(
    "header",
    [
        b"not json",
        b"[1]",
        b'{"a": {"dtype": "F32"}}',
        b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0]}}',
        b'{"a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}}',
        b'{"a": {"dtype": "U3", "shape": [2], "data_offsets": [0, 8]}}',
        b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},'
        b' "b": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}',
        b"\xff\xfe",
    ],
)
def test_a_damaged_header(tmp_path: Path, header: bytes) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    with pytest.raises(UserError, match=r"x\.safetensors"):
        read_file(path)


def test_a_missing_index_or_shard(published: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"is a folder with {INDEX}: .* has none"):
        read_folder(tmp_path / "nowhere")
    (published / SHARD).unlink()
    with pytest.raises(UserError, match=f"1 of 3 shards are missing in .*: {SHARD}"):
        read_folder(published)


@pytest.mark.parametrize("place", ["../{}", "sub/{}", "/tmp/{}"])
def test_an_index_that_names_files_elsewhere(published: Path, place: str) -> None:
    index = json.loads((published / INDEX).read_text())
    index["weight_map"] = {n: place.format(f) for n, f in index["weight_map"].items()}
    (published / INDEX).write_text(json.dumps(index))
    with pytest.raises(UserError, match=r"names files beside it: .* names .*model-00001-of-00003"):
        read_folder(published)


@pytest.mark.parametrize(
    "index", ["{", "[]", "{}", '{"weight_map": {"a": 3}, "metadata": {"total_size": 1}}']
)
def test_a_damaged_index(published: Path, index: str) -> None:
    (published / INDEX).write_text(index)
    with pytest.raises(UserError, match="it is damaged"):
        read_folder(published)


def test_an_index_of_another_version(published: Path) -> None:
    index = json.loads((published / INDEX).read_text())
    index["metadata"]["total_size"] += 2
    (published / INDEX).write_text(json.dumps(index))
    with pytest.raises(UserError, match=r"says \d+ bytes, its shards hold \d+"):
        read_folder(published)
    save_file({"other": torch.zeros(1)}, published / SHARD)
    with pytest.raises(UserError, match=r"does not hold what its index says: .* more"):
        read_folder(published)
