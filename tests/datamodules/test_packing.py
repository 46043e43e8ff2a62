"""Shards: what is in them by WebDataset's conventions, the same bytes each time, whole or not at all."""

import hashlib
import json
import re
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from tiny import make_corpus

from pvchat.datamodules.manifest import read_manifest, write_manifest
from pvchat.datamodules.packing import pack, read_index, unpack
from pvchat.errors import UserError

BASE_AND_EXTENSION = re.compile(r"^((?:.*/|)[^.]+)[.]([^/]*)$")  # webdataset.tariterators.base_plus_ext


def samples(shard: Path) -> list[dict[str, bytes]]:
    """As WebDataset groups a tar file: neighbours of one base are one sample, keyed by extension."""
    found: list[dict[str, bytes]] = []
    before = None
    with tarfile.open(shard) as tar:
        for member in tar:
            match = BASE_AND_EXTENSION.match(member.name)
            assert member.isreg()
            assert match
            if match[1] != before:
                found.append({})
            before = match[1]
            assert match[2] not in found[-1]
            file = tar.extractfile(member)
            assert file
            found[-1][match[2]] = file.read()
    return found


def test_a_sample_is_a_clip_and_its_line(tmp_path: Path) -> None:
    manifest = make_corpus(tmp_path / "corpus")
    index = pack(manifest, tmp_path / "shards")
    records = read_manifest(manifest)
    packed = [s for shard in index.shards for s in samples(tmp_path / "shards" / shard.name)]
    lines = [json.loads(line) for line in manifest.read_text().splitlines()]
    assert len(packed) == len(records) == index.shards[0].clips
    for record, line, sample in zip(records, lines, packed, strict=True):
        suffix = record.path.suffix.removeprefix(".")
        assert sample.keys() == {suffix, "json"}
        assert sample[suffix] == record.path.read_bytes()
        assert json.loads(sample["json"]) == {**line, "path": f"{record.id}.{suffix}"}


def test_shards_are_small_and_in_the_index(tmp_path: Path) -> None:
    manifest = make_corpus(tmp_path / "corpus")
    records = read_manifest(manifest)
    for n, record in enumerate(records):
        record.path.write_bytes(bytes([n]) * 300_000)
    index = pack(manifest, tmp_path / "shards", shard_mb=1)
    assert index == read_index(tmp_path / "shards")
    assert [s.clips for s in index.shards] == [3] * 6
    for shard in index.shards:
        data = (tmp_path / "shards" / shard.name).read_bytes()
        assert len(data) == shard.num_bytes <= 10**6
        assert hashlib.sha256(data).hexdigest() == shard.sha256
    assert len(list((tmp_path / "shards").iterdir())) == 7


def test_same_corpus_same_bytes(tmp_path: Path) -> None:
    for name in "ab":
        manifest = make_corpus(tmp_path / name / "corpus")
        for path in manifest.parent.rglob("*"):
            path.chmod(0o700 if name == "a" else 0o750)
        pack(manifest, tmp_path / name / "shards")
    for path in (tmp_path / "a" / "shards").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / "shards" / path.name).read_bytes()


def test_ids_of_any_kind_are_told_apart(tmp_path: Path) -> None:
    """WebDataset cuts names at their first dot, and file names are short."""
    manifest = make_corpus(tmp_path / "corpus", clips={"train": 6})
    ids = ["a.b", "a.c", "train/ä", "../up", "x" * 300, "x" * 299 + "y"]
    records = [replace(r, id=i) for r, i in zip(read_manifest(manifest), ids, strict=True)]
    write_manifest(manifest, records)
    index = pack(manifest, tmp_path / "shards")
    packed = samples(tmp_path / "shards" / index.shards[0].name)
    assert [json.loads(sample["json"])["id"] for sample in packed] == ids
    unpack(tmp_path / "shards" / index.shards[0].name, tmp_path / "unpacked")
    read_manifest(tmp_path / "unpacked" / "manifest.jsonl")


def test_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = make_corpus(tmp_path / "corpus")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(tarfile.TarFile, "addfile", full)
        with pytest.raises(UserError, match="shards cannot be written: No space left on device"):
            pack(manifest, tmp_path / "shards")
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]
    pack(manifest, tmp_path / "shards")
    with pytest.raises(UserError, match=r"shards need a folder of their own: .* Choose another"):
        pack(manifest, tmp_path / "shards")


def test_bad_input(tmp_path: Path) -> None:
    manifest = make_corpus(tmp_path / "corpus", clips={"train": 2})
    with pytest.raises(UserError, match=r"shard_mb must be >= 1: got 0\."):
        pack(manifest, tmp_path / "shards", shard_mb=0)
    read_manifest(manifest)[0].path.unlink()
    with pytest.raises(UserError, match="clip 'train0' does not exist"):
        pack(manifest, tmp_path / "shards")
    with pytest.raises(UserError, match=r"a folder of shards holds index\.json"):
        read_index(tmp_path)
    for text in ("[]", "{}", '{"format_version": 2}', "?"):
        (tmp_path / "index.json").write_text(text)
        with pytest.raises(UserError, match="is not an index that this pvchat reads"):
            read_index(tmp_path)


def test_only_samples_are_unpacked(tmp_path: Path) -> None:
    """A tar file may hold links, or names that lead out of the folder."""
    for name, kind in (("../out.mp4", tarfile.REGTYPE), ("a.mp4", tarfile.SYMTYPE)):
        with tarfile.open(tmp_path / "bad.tar", "w") as tar:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            tar.addfile(member)
        with pytest.raises(UserError, match=f"holds '{re.escape(name)}', which is no sample"):
            unpack(tmp_path / "bad.tar", tmp_path / kind.hex())
    assert not (tmp_path / "out.mp4").exists()
    (tmp_path / "text.tar").write_text("no tar file at all")
    with pytest.raises(UserError, match=r"text\.tar cannot be read: .* Copy it again"):
        unpack(tmp_path / "text.tar", tmp_path / "text")
