import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from pvchat.datamodules.sources import PVChatRelease
from pvchat.errors import UserError

AUTHORS = "/root/autodl-tmp/yufei/datasets"
WriteVideo = Callable[..., Path]


def clip(path: str, positive: bool) -> dict[str, Any]:
    answer = "Yes, <sks> is here." if positive else "I cannot find <sks>."
    return {
        "video_path": f"{AUTHORS}/{path}",
        "sks_present": "",
        "is_positive": positive,
        "qa_pairs": [{"question": "Is <sks> here?", "answer": answer, "is_special": True}],
    }


@pytest.fixture
def folder(tmp_path: Path, write_video: WriteVideo) -> Path:
    """The release below a folder of its own, as zip files are often packed."""
    top = tmp_path / "unpacked"
    inside = top / "pvchat-data"
    for split, level in (("train", 0), ("test", 90)):
        clips = [clip(f"{split}/{n}.mp4", n % 2 == 0) for n in range(4)]
        for n, item in enumerate(clips):
            write_video(inside / "datasets" / split / f"{n}.mp4", [level + 20 * n] * 2)
            assert item["video_path"].endswith(f"{split}/{n}.mp4")
        (inside / f"{split}_all_video.json").write_text(json.dumps({"data": clips}))
    return top


@pytest.fixture
def packed(folder: Path) -> Path:
    path = folder.parent / "release.zip"
    with ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder))
    return path


def test_zip_and_folder_are_the_same(folder: Path, packed: Path, tmp_path: Path) -> None:
    unpacked = PVChatRelease(path=folder, subjects="tom")
    zipped = PVChatRelease(path=packed, subjects="tom", cache_dir=tmp_path / "cache")
    assert zipped.subjects == unpacked.subjects == ("tom",)
    assert zipped.fingerprint == unpacked.fingerprint
    assert [(r.id, r.split, r.presence, r.qa) for r in zipped.records()] == [
        (r.id, r.split, r.presence, r.qa) for r in unpacked.records()
    ]
    for source in (zipped, unpacked):
        assert [r.path.is_file() for r in source.records()] == [True] * 8
    assert (tmp_path / "cache") in zipped.records()[0].path.parents


def test_through_the_datamodule(packed: Path, tmp_path: Path, make_data: Any, extractor: Any) -> None:
    source = PVChatRelease(path=packed, subjects="tom", cache_dir=tmp_path / "cache")
    data = make_data(source, extractor, test_variants=("main",))
    data.setup("fit")
    data.setup("test")
    assert data.bad_clips == {}
    assert len(data.test_dataloader("main").dataset) == 4


def test_a_zip_file_is_unpacked_once(packed: Path, tmp_path: Path) -> None:
    source = PVChatRelease(path=packed, subjects="tom", cache_dir=tmp_path / "cache")
    path = source.records()[0].path
    before = path.stat().st_mtime_ns
    packed.rename(packed.with_name("renamed.zip"))
    again = PVChatRelease(path=packed.with_name("renamed.zip"), subjects="tom", cache_dir=tmp_path / "cache")
    assert again.records()[0].path == path
    assert path.stat().st_mtime_ns == before


def test_root_is_relative(folder: Path) -> None:
    source = PVChatRelease(path=folder, subjects="tom", root="pvchat-data/datasets", train=None)
    assert [r.path.is_file() for r in source.records()] == [True] * 4
    elsewhere = PVChatRelease(path=folder, subjects="tom", root="nowhere")
    assert not any(r.path.is_file() for r in elsewhere.records())


def test_files_that_are_not_there(folder: Path, tmp_path: Path) -> None:
    message = (
        "must hold one file short.json: got 0. Name another with train, validation or test (null for none)"
    )
    with pytest.raises(UserError, match=re.escape(message)):
        PVChatRelease(path=folder, subjects="tom", train="short.json").records()
    twice = folder / "copy" / "train_all_video.json"
    twice.parent.mkdir()
    twice.write_text("{}")
    with pytest.raises(
        UserError, match=r"got 2\. .* it has \['copy/train_all_video.json', 'pvchat-data/train"
    ):
        PVChatRelease(path=folder, subjects="tom").records()
    with pytest.raises(
        UserError, match=r"path must be the released zip file or its folder: .* does not exist"
    ):
        PVChatRelease(path=tmp_path / "x.zip", subjects="tom").records()


def test_damaged_zip_files(packed: Path, tmp_path: Path) -> None:
    whole = packed.read_bytes()
    packed.write_bytes(whole[: len(whole) // 2])
    cache = tmp_path / "cache"
    with pytest.raises(UserError, match=r"release\.zip is no whole zip file: .*Download it again"):
        PVChatRelease(path=packed, subjects="tom", cache_dir=cache).records()
    middle = len(whole) // 3
    packed.write_bytes(whole[:middle] + bytes(64) + whole[middle + 64 :])
    with pytest.raises(UserError, match=r"release\.zip is no whole zip file: "):
        PVChatRelease(path=packed, subjects="tom", cache_dir=cache).records()
    assert not [path for path in cache.iterdir() if path.is_dir() and path.suffix != ".partial"]
    packed.write_bytes(whole)
    assert len(PVChatRelease(path=packed, subjects="tom", cache_dir=cache).records()) == 8


@pytest.mark.parametrize(
    ("field", "value", "why"), [(8, 1, "password required"), (10, 99, "compression method is not supported")]
)
def test_zip_files_that_are_not_plain(packed: Path, tmp_path: Path, field: int, value: int, why: str) -> None:
    """Encrypted, as a flag in the headers says, and compressed as nobody here can."""
    data = bytearray(packed.read_bytes())
    for start, offset in ((b"PK\x01\x02", field), (b"PK\x03\x04", field - 2)):
        for header in re.finditer(re.escape(start), bytes(data)):
            data[header.start() + offset] |= value
    packed.write_bytes(data)
    with pytest.raises(UserError, match=rf"release.zip cannot be unpacked: .*{why}.*give the folder"):
        PVChatRelease(path=packed, subjects="tom", cache_dir=tmp_path / "cache").records()


@pytest.mark.parametrize("name", ["../evil.mp4", "/evil.mp4"])
def test_files_outside(packed: Path, tmp_path: Path, name: str) -> None:
    with ZipFile(packed, "a") as archive:
        archive.writestr(name, "x")
    with pytest.raises(UserError, match=re.escape(f"release.zip names {name!r}, a file outside of it.")):
        PVChatRelease(path=packed, subjects="tom", cache_dir=tmp_path / "cache").records()
