"""Clips of a run are found by its config, or not at all."""

from pathlib import Path

import pytest

from pvchat.datamodules.manifest import read_manifest
from pvchat.scoring.tested_clips import clips_of


def test_clips_of_a_run(tiny_run: Path, tiny_corpus: Path) -> None:
    assert [r.id for r in clips_of(tiny_run)] == [r.id for r in read_manifest(tiny_corpus)]


def test_a_corpus_or_config_that_is_gone(tmp_path: Path) -> None:
    assert clips_of(tmp_path) == []
    (tmp_path / "config.yaml").write_text("data: {source: {init_args: {path: /nowhere/manifest.jsonl}}}")
    assert clips_of(tmp_path) == []


@pytest.mark.parametrize(
    "config", ["data: 5", "data: {source: {init_args: [1]}}", "data: {source: {init_args: {path: 5}}}"]
)
def test_a_config_of_another_shape(tmp_path: Path, config: str) -> None:
    (tmp_path / "config.yaml").write_text(config)
    assert clips_of(tmp_path) == []
