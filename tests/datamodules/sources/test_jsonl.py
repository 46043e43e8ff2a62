"""A manifest as a source."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonargparse import ArgumentParser
from tiny import make_corpus

from pvchat.datamodules.personalized import PersonalizedDataModule
from pvchat.datamodules.sources import ManifestSource
from pvchat.errors import UserError

Line = Callable[..., dict[str, Any]]
Write = Callable[..., Path]


def test_manifest_source(tmp_path: Path, line: Line, write_manifest_lines: Write) -> None:
    path = write_manifest_lines(tmp_path / "m.jsonl", [line("a", present=True)])
    source = ManifestSource(str(path))
    assert source.subjects == ("tom",)
    assert [r.id for r in source.records()] == ["a"]  # its clip is missing: the datamodule deals with that
    before = source.fingerprint
    assert ManifestSource(path).fingerprint == before
    write_manifest_lines(path, [line("a", present=False)])
    assert ManifestSource(path).fingerprint != before


def test_order_of_subjects_can_be_chosen(tmp_path: Path, line: Line, write_manifest_lines: Write) -> None:
    path = write_manifest_lines(
        tmp_path / "m.jsonl", [line("a", present=True, presence={"tom": True, "ann": True})]
    )
    assert ManifestSource(path).subjects == ("tom", "ann")
    assert ManifestSource(path, subjects=["ann", "tom"]).subjects == ("ann", "tom")
    with pytest.raises(UserError, match="unknown subject 'ann' in presence"):
        ManifestSource(path, subjects=["tom"]).records()


def test_from_a_config(corpus: Path) -> None:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(PersonalizedDataModule, "data")
    source = {"class_path": "pvchat.datamodules.sources.ManifestSource", "init_args": {"path": str(corpus)}}
    config = parser.parse_object({"data": {"source": source, "batch_size": 2, "on_bad_clip": "skip"}})
    assert parser.instantiate_classes(config).data.subjects == ("tom",)


def test_training_on_some_origins_only(tmp_path: Path, line: Line, write_manifest_lines: Write) -> None:
    """Paper, table 4: what each type of data adds is seen on the same test."""
    lines = [
        line(f"{split}-{origin}", present=origin != "negative", split=split, origin=origin)
        for split in ("train", "test")
        for origin in ("real", "generated", "negative")
    ]
    path = write_manifest_lines(tmp_path / "m.jsonl", lines)
    chosen = ManifestSource(path, train_origins=["real", "negative"])
    left_out = {r.id for r in ManifestSource(path).records()} - {r.id for r in chosen.records()}
    assert left_out == {"train-generated"}
    assert chosen.fingerprint != ManifestSource(path).fingerprint


def test_the_first_subjects_alone(tmp_path: Path) -> None:
    """The others become strangers; what was asked about them alone is no longer there."""
    path = make_corpus(tmp_path, ("tom", "ann", "bob"), clips={"train": 2, "test": 2})
    everybody, two = ManifestSource(path), ManifestSource(path, num_subjects=2)
    assert two.subjects == ("tom", "ann")
    records = two.records()
    asked = [sum(len(r.qa) for r in found) for found in (records, everybody.records())]
    assert 0 < asked[0] < asked[1]
    assert {name for r in records for name in r.presence} == {"tom", "ann"}
    assert {name for r in records for qa in r.qa for name in qa.subjects} == {"tom", "ann"}
    assert two.fingerprint != everybody.fingerprint
    assert ManifestSource(path, num_subjects=3).records() == everybody.records()
    with pytest.raises(UserError, match=r"num_subjects must be in 1\.\.3, as many as are labelled: got 4"):
        ManifestSource(path, num_subjects=4).records()
