"""What cannot be repeated is refused in one sentence, before anything long."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from tiny import make_corpus

from pvchat import rerun_checks
from pvchat.datamodules.manifest import read_manifest, write_manifest
from pvchat.errors import UserError
from pvchat.rerun_checks import check_data, check_files, check_run, check_weights, unrepeatable


def record_of(run: Path) -> dict[str, Any]:
    return json.loads((run / "run.json").read_text())  # type: ignore[no-any-return]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """As a training and a test leave it, by hand."""
    manifest = make_corpus(tmp_path / "corpus", clips={"train": 2, "test": 2})
    clips = {
        r.id: {"path": str(r.path), "sha256": hashlib.sha256(r.path.read_bytes()).hexdigest()}
        for r in read_manifest(manifest)
    }
    source = {
        "class_path": "pvchat.datamodules.sources.ManifestSource",
        "init_args": {"path": str(manifest)},
    }
    folder = tmp_path / "run"
    (folder / "adapter").mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump({"data": {"source": source}}))
    (folder / "data.json").write_text(json.dumps({"clips": clips}))
    (folder / "metrics.json").write_text("{}")
    labels = hashlib.sha256(manifest.read_bytes()).hexdigest()
    record = {"fitted": "now", "data": labels, "environment": {"pvchat": "0.1.0"}}
    (folder / "run.json").write_text(json.dumps(record))
    return folder


def test_a_whole_run_can_be_repeated(run: Path) -> None:
    record = record_of(run)
    check_files(run, record)
    check_run(run, record)
    check_data(run, record)
    check_weights(run, record)
    assert unrepeatable(run, record) == []
    (run / "data.json").unlink()
    assert "data.json is gone: whether the clips are" in unrepeatable(run, record)[0]


@pytest.mark.parametrize(
    "change",
    [
        {"environment": None},
        {"environment": {"pvchat": "the last"}},
        {"assets": ["minilm"]},
        {"init_from": "runs/first"},
        {"init_from": {"path": "runs/first"}},
        {"resumed": 3},
        {"resumed": [{}]},
        {"tested_in": []},
        {"tested_in": {"threads": [4]}},
        {"data": ...},
        {"environment": ...},
    ],
)
def test_a_record_that_was_edited(run: Path, change: dict[str, Any]) -> None:
    record = {k: v for k, v in (record_of(run) | change).items() if v is not ...}
    with pytest.raises(UserError, match=rf"needs {run}/run.json as pvchat wrote it"):
        check_files(run, record)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("metrics.json", '{"a": "b"}'),
        ("metrics.json", "{"),
        ("data.json", "{}"),
        ("data.json", '{"clips": {"a": {"path": "b"}}}'),
        ("adapter/adapter.json", "{}"),
        ("test.yaml", "a: ["),
    ],
)
def test_files_that_are_read_at_the_end(run: Path, name: str, text: str) -> None:
    """All is trained again by then."""
    (run / name).write_text(text)
    with pytest.raises(UserError, match=name):
        check_files(run, record_of(run))


def test_a_training_that_did_not_end(run: Path) -> None:
    record = record_of(run)
    del record["fitted"]
    with pytest.raises(UserError, match=rf"must have ended.*pvchat fit --resume {run}"):
        check_run(run, record)


def test_a_run_without_a_test(run: Path) -> None:
    (run / "metrics.json").unlink()
    with pytest.raises(UserError, match=rf"must have been tested.*pvchat test --run {run}"):
        check_run(run, record_of(run))


def test_a_run_of_a_newer_version(run: Path) -> None:
    with pytest.raises(UserError, match=r"written by pvchat 99.0, this is 0.1.0: install 99.0"):
        check_run(run, record_of(run) | {"environment": {"pvchat": "99.0"}})


@pytest.mark.parametrize("key", ["class_path", "source"])
def test_a_config_of_another_version(run: Path, key: str) -> None:
    config = yaml.safe_load((run / "config.yaml").read_text())
    if key == "source":
        del config["data"]["source"]
    else:
        config["data"]["source"]["class_path"] = "pvchat.datamodules.sources.OfTomorrow"
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(UserError, match=r"not written by this version of pvchat: .*Use the version that"):
        check_data(run, record_of(run))


def test_clips_that_are_gone_or_changed_are_named(run: Path) -> None:
    clips = run.parent / "corpus" / "clips"
    (clips / "train0.mp4").unlink()
    shutil.copy(clips / "test1.mp4", clips / "test0.mp4")
    with pytest.raises(UserError, match=r"1 clips are gone \(.*train0.mp4\); 1 clips have changed \(.*test0"):
        check_data(run, record_of(run))


def test_another_file_of_the_same_bytes_is_the_same_clip(run: Path) -> None:
    moved = run.parent / "moved"
    (run.parent / "corpus").rename(moved)
    with pytest.raises(UserError, match=r"cannot be read any more: .*manifest.jsonl"):
        check_data(run, record_of(run))
    config = (run / "config.yaml").read_text().replace(str(run.parent / "corpus"), str(moved))
    (run / "config.yaml").write_text(config)
    check_data(run, record_of(run))


def test_other_labels(run: Path) -> None:
    manifest = run.parent / "corpus" / "manifest.jsonl"
    write_manifest(manifest, list(reversed(read_manifest(manifest))))
    with pytest.raises(UserError, match=r"the labels are others \(.*manifest.jsonl\). Restore them"):
        check_data(run, record_of(run))


def test_a_start_that_is_gone_or_changed(run: Path, tmp_path: Path) -> None:
    start = tmp_path / "start"
    start.mkdir()
    (start / "adapter.json").write_text("{}")
    (start / "adapter.safetensors").write_bytes(b"weights")
    begun = {"path": str(start), "weights": "last", "sha256": hashlib.sha256(b"weights").hexdigest()}
    check_weights(run, {"init_from": begun})
    (start / "adapter.safetensors").write_bytes(b"others")
    with pytest.raises(UserError, match=rf"started from {start}, which was trained on since"):
        check_weights(run, {"init_from": begun})
    shutil.rmtree(start)
    with pytest.raises(UserError, match=rf"started from {start}, which is gone"):
        check_weights(run, {"init_from": begun})


def test_an_embedded_part_that_cannot_be_had(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(name: str) -> Path:
        raise UserError("no index.")

    monkeypatch.setattr(rerun_checks, "asset", offline)
    check_weights(run, {"assets": {"pretrained": "0123"}})
    with pytest.raises(UserError, match=r"needs the embedded part minilm, which cannot be had: no index"):
        check_weights(run, {"assets": {"minilm": "x"}})


def test_what_came_before_a_change_cannot_be_repeated(run: Path) -> None:
    same, other = {"step": 3, "differs": {}}, {"step": 9, "differs": {"config.model.warmup_steps": [1, 2]}}
    (note,) = unrepeatable(run, {"resumed": [same, other]})
    assert "at step 9" in note
    assert "config.model.warmup_steps" in note
