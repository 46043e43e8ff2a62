"""Another manifest's test clips beside a run's own clips to train and calibrate on."""

from pathlib import Path

import pytest
from tiny import make_corpus

from pvchat.datamodules.sources import ManifestSource
from pvchat.errors import UserError
from pvchat.scoring.foreign_test import ForeignTest


def test_tests_come_from_the_other_manifest_alone(tmp_path: Path, tiny_corpus: Path) -> None:
    other = make_corpus(tmp_path / "other", clips={"train": 2, "test": 4}, seed=1)
    own = ManifestSource(tiny_corpus)
    source = ForeignTest(own, other)
    records = source.records()
    assert {r.path.parent.parent for r in records if r.split == "test"} == {tmp_path / "other"}
    assert [r for r in records if r.split != "test"] == [r for r in own.records() if r.split != "test"]
    assert source.subjects == ("tom",)
    assert source.fingerprint != ForeignTest(own, tiny_corpus).fingerprint


def test_other_subjects_are_refused(tmp_path: Path, tiny_corpus: Path) -> None:
    other = make_corpus(tmp_path / "ann", subjects=("ann",), clips={"test": 2})
    with pytest.raises(UserError, match="unknown subject 'ann'"):
        ForeignTest(ManifestSource(tiny_corpus), other).records()
