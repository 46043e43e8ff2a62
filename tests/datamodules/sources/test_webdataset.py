"""Shards as a source: what is learned from them is what is learned from the manifest."""

from pathlib import Path

import pytest
import torch
from tiny import fit, make_corpus, make_data, make_module, state

from pvchat.datamodules.packing import pack
from pvchat.datamodules.personalized import PersonalizedDataModule
from pvchat.datamodules.sources import ManifestSource, ShardSource
from pvchat.errors import UserError


@pytest.fixture
def shards(tmp_path: Path, private_cache: Path) -> Path:
    pack(make_corpus(tmp_path / "corpus", ("tom", "ann")), tmp_path / "shards")
    return tmp_path / "shards"


def test_the_same_records_in_the_same_order(tmp_path: Path, shards: Path) -> None:
    manifest, packed = ManifestSource(tmp_path / "corpus" / "manifest.jsonl"), ShardSource(shards)
    assert packed.subjects == manifest.subjects == ("tom", "ann")
    assert packed.fingerprint == manifest.fingerprint
    assert len(manifest.records()) == len(packed.records())
    for ours, theirs in zip(packed.records(), manifest.records(), strict=True):
        assert vars(ours) | {"path": 0, "where": 0} == vars(theirs) | {"path": 0, "where": 0}
        assert ours.path.read_bytes() == theirs.path.read_bytes()
        assert ours.where.startswith("shard-000000.tar: ")


def test_origins_and_order_of_subjects_can_be_chosen(tmp_path: Path, shards: Path) -> None:
    path = tmp_path / "corpus" / "manifest.jsonl"
    chosen = ShardSource(shards, ["ann", "tom"], ["negative"])
    same = ManifestSource(path, ["ann", "tom"], ["negative"])
    assert chosen.subjects == ("ann", "tom")
    assert chosen.fingerprint == same.fingerprint != ManifestSource(path).fingerprint
    assert [r.id for r in chosen.records()] == [r.id for r in same.records()]


def test_training_from_shards_is_training_from_the_manifest(tmp_path: Path, shards: Path) -> None:
    """Features, losses, and every weight at the end."""
    ends = []
    for source in (ManifestSource(tmp_path / "corpus" / "manifest.jsonl"), ShardSource(shards)):
        module = make_module(("tom", "ann"))
        data = make_data(tmp_path / "corpus" / "manifest.jsonl", module)
        data = PersonalizedDataModule(
            source=source, stages=data.stages, num_frames=2, cache_dir=str(tmp_path / type(source).__name__)
        )
        data.attach(module.chat.views.extractor, module.chat.registry)
        trainer = fit(module, data)
        features = [f["face"] for f in data.training_features()]
        keys = [data.store.clip_key(r) for r in data.records]
        ends.append((keys, features, dict(trainer.callback_metrics), state(module)))
    (keys, features, losses, weights), (*others, other_weights) = ends
    assert others[0] == keys
    assert all(torch.equal(a, b) for a, b in zip(others[1], features, strict=True))
    assert losses
    assert others[2] == losses
    assert all(torch.equal(other_weights[name], weights[name]) for name in weights)


def test_shards_are_unpacked_once(shards: Path, private_cache: Path) -> None:
    first = ShardSource(shards).records()
    stamp = first[0].path.stat().st_mtime_ns
    assert first[0].path.is_relative_to(private_cache / "shards")
    (shards / "shard-000000.tar").unlink()
    again = ShardSource(shards).records()
    assert again == first
    assert again[0].path.stat().st_mtime_ns == stamp


def test_a_run_killed_while_unpacking_leaves_no_half_shard(
    shards: Path, private_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(self: Path, target: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", die)
        with pytest.raises(KeyboardInterrupt):
            ShardSource(shards).records()
    assert all(record.path.is_file() for record in ShardSource(shards).records())


@pytest.mark.parametrize("damage", ["flipped", "cut", "missing"])
def test_a_damaged_shard_is_one_sentence(shards: Path, damage: str) -> None:
    path = shards / "shard-000000.tar"
    data = bytearray(path.read_bytes())
    data[5000] ^= 1
    path.write_bytes(data if damage == "flipped" else data[:-512])
    if damage == "missing":
        path.unlink()
    sentence = "cannot be read: No such file" if damage == "missing" else "is damaged: index.json says sha256"
    with pytest.raises(UserError, match=rf"the shard .*shard-000000\.tar {sentence}.* [Cc]opy it again\.$"):
        ShardSource(shards).records()
