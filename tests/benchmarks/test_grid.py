"""A trained run is found again by what it was made of."""

from dataclasses import replace
from pathlib import Path

from benchmarks.grid import Cell, finished, is_finished, run_grid
from benchmarks.kept import Kept
from pvchat.datamodules.manifest import QA, Record, write_manifest


def _cell(folder: Path, clip: Path) -> Cell:
    config = folder / "config.yaml"
    config.write_text("a: 1  # of no account\n")
    record = Record(
        id="one",
        path=clip,
        presence={"tom": True},
        source_id="photo",
        origin="real",
        split="train",
        licence="not stated",
        consent="not stated",
        qa=(QA("Is <tom> here?", "Yes.", "existence", "yes", ("tom",)),),
    )
    write_manifest(folder / "corpus" / "manifest.jsonl", [record])
    return Cell({"variant": "a"}, (config,), ("--b=2",), folder / "corpus" / "manifest.jsonl")


def test_key_is_that_of_the_clips_wherever_they_are(tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    (clips / "one.png").write_bytes(b"one")
    cell = _cell(tmp_path, clips / "one.png")
    key = cell.key
    (clips / "of another corpus.png").write_bytes(b"two")
    cell.configs[0].write_text("a: 1\n")
    assert replace(cell, labels={"variant": "b"}).key == key
    (clips / "one.png").write_bytes(b"changed")
    assert cell.key != key


def test_key_tells_configs_overrides_and_manifests_apart(tmp_path: Path) -> None:
    clip = tmp_path / "one.png"
    clip.write_bytes(b"one")
    cell = _cell(tmp_path, clip)
    keys = {cell.key, replace(cell, overrides=("--b=3",)).key}
    cell.configs[0].write_text("a: 2\n")
    keys.add(cell.key)
    cell.manifest.write_text(cell.manifest.read_text().replace("Yes.", "Yes!"))
    keys.add(cell.key)
    assert len(keys) == 4


def test_a_run_that_was_killed_before_its_test_is_not_finished(tmp_path: Path) -> None:
    clip = tmp_path / "one.png"
    clip.write_bytes(b"one")
    cell = _cell(tmp_path, clip)
    run = tmp_path / cell.key
    run.mkdir()
    (run / "metrics.json").write_text("{}")  # the fit leaves it
    assert not is_finished(cell, tmp_path)
    (run / "labels.json").write_text("{}")
    assert is_finished(cell, tmp_path)


def test_a_kept_run_is_not_trained_again(tmp_path: Path) -> None:
    clip = tmp_path / "one.png"
    clip.write_bytes(b"one")
    cell = _cell(tmp_path, clip)
    run = tmp_path / "runs" / cell.key
    run.mkdir(parents=True)
    (run / "labels.json").write_text("{}")
    (run / "metrics.json").write_text('{"seconds/fit": 3.0}')
    here = Kept("here", folder=tmp_path / "results")
    assert finished([cell], tmp_path / "runs", here) == [(cell, {"seconds/fit": 3.0})]
    elsewhere = Kept("here", folder=tmp_path / "results")
    assert run_grid([cell], tmp_path / "of another machine", kept=elsewhere) == [(cell, {"seconds/fit": 3.0})]
    assert finished([cell], tmp_path / "of another machine") == []
