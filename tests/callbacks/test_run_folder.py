"""What a run leaves behind: config, record, adapter, metrics and predictions."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import fit, make_corpus, make_data, make_module, make_plan, make_trainer

from pvchat.callbacks import RunFolder, run_folder
from pvchat.checkpoints import read_adapter
from pvchat.datamodules.manifest import read_manifest
from pvchat.training import PersonalizedVideoChat


@pytest.fixture
def run(tiny_corpus: Path, tmp_path: Path) -> tuple[PersonalizedVideoChat, Path]:
    module = make_module(controls=("main", "text_only"))
    data = make_data(tiny_corpus, module, stages=make_plan(1, 0))
    trainer = fit(module, data, RunFolder(tmp_path, config="name: x\n"))
    trainer.test(module, datamodule=data, verbose=False)
    return module, tmp_path


def record_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "run.json").read_text())  # type: ignore[no-any-return]


def test_contents(run: tuple[PersonalizedVideoChat, Path]) -> None:
    module, folder = run
    files = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert files - {"changes.patch"} == {  # of a checkout that is being worked on
        "config.yaml",
        "run.json",
        "data.json",
        "metrics.json",
        "predictions.jsonl",
        "adapter/adapter.json",
        "adapter/adapter.safetensors",
    }
    assert (folder / "config.yaml").read_text() == "name: x\n"
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics == module.metrics
    assert all(isinstance(v, float) and len(k.split("/")) == 3 for k, v in metrics.items())


def test_record(run: tuple[PersonalizedVideoChat, Path]) -> None:
    module, folder = run
    record = record_of(folder)
    assert record["subjects"] == ["tom"]
    assert record["seed"] == 0
    assert record["base"] == module.base_fingerprint
    assert record["data"] == module.data.source.fingerprint
    assert record["threshold"] == module.threshold
    assert record["environment"]["packages"]["torch"] == torch.__version__.split("+")[0]
    assert record["started"] <= record["fitted"] <= record["tested"]
    assert record["config"] == {"name": "x"}
    assert (record["environment"]["device"], record["environment"]["processes"]) == ("cpu", 1)
    assert record["tested_in"] == {}


def test_data(run: tuple[PersonalizedVideoChat, Path], tiny_corpus: Path) -> None:
    """Every clip with the digest of its bytes."""
    _, folder = run
    kept = json.loads((folder / "data.json").read_text())
    assert kept["fingerprint"] == record_of(folder)["data"]
    assert kept["clips"] == {
        r.id: {"path": str(r.path), "sha256": hashlib.sha256(r.path.read_bytes()).hexdigest()}
        for r in read_manifest(tiny_corpus)
    }


def test_predictions(run: tuple[PersonalizedVideoChat, Path]) -> None:
    _, folder = run
    rows = [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]
    assert {row["control"] for row in rows} == {"main", "text_only"}
    main = [row for row in rows if row["control"] == "main"]
    assert (
        len({row["id"] for row in main}) == len(main) == 24
    )  # 8 clips, two questions each, two more with tom
    assert len(rows) == 24 + 16  # controls that write no answers are asked existence questions alone
    for row in rows:
        assert set(row) == {
            "id",
            "look_alike",
            "clip_seconds",
            "clip_id",
            "control",
            "type",
            "origin",
            "subjects",
            "polarity",
            "presence",
            "question",
            "reference",
            "answer",
            "score",
        }
        assert (row["answer"] is None) == (row["control"] == "text_only")
        assert isinstance(row["score"], float)


def test_adapter_is_what_was_trained_and_small(run: tuple[PersonalizedVideoChat, Path]) -> None:
    """Released bug 12."""
    module, folder = run
    weights, metadata = read_adapter(folder / "adapter")
    trained = module.trainable_state()
    assert set(weights) == set(trained) >= module.trainable
    assert all(torch.equal(value, trained[name]) for name, value in weights.items())
    assert metadata["subjects"] == ["tom"]
    assert metadata["base_fingerprint"] == module.base_fingerprint
    base = [n for n in weights if n.startswith(("chat.language_model.base.", "chat.views.encoder.trunk."))]
    assert base
    assert all("lora_" in name for name in base)


def test_clips_that_were_left_out_are_on_record(tmp_path: Path) -> None:
    """An accuracy over some of the clips must not look like any other."""
    corpus = make_corpus(tmp_path)
    for split in ("train", "test"):
        gone = next(r for r in read_manifest(corpus) if r.split == split)
        gone.path.write_bytes(b"")
    module = make_module(controls=("main",))
    data = make_data(corpus, module, stages=make_plan(1, 0), on_bad_clip="skip", test_variants=("main",))
    folder = tmp_path / "run"
    folder.mkdir()
    trainer = fit(module, data, RunFolder(folder, config="name: x\n"))
    assert set(record_of(folder)["left_out"]) == {"train"}
    trainer.test(module, datamodule=data, verbose=False)
    left_out = record_of(folder)["left_out"]
    assert {split: len(clips) for split, clips in left_out.items()} == {"train": 1, "test": 1}
    assert all("is empty" in why for clips in left_out.values() for why in clips.values())


def test_a_later_test_adds_to_the_record_and_keeps_the_config(
    run: tuple[PersonalizedVideoChat, Path],
) -> None:
    module, folder = run
    before = record_of(folder)
    callback = RunFolder(folder, config="name: another\n")
    trainer = make_trainer(module.data, callback)
    trainer.test(module, datamodule=module.data, verbose=False)
    assert (folder / "config.yaml").read_text() == "name: x\n"
    after = record_of(folder)
    assert after["started"] == before["started"]
    assert after["fitted"] == before["fitted"]


def test_a_test_with_other_settings_or_threads_is_on_record(
    run: tuple[PersonalizedVideoChat, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its metrics are not those of the config and the environment of the training."""
    module, folder = run

    def test_with(config: str) -> None:
        trainer = make_trainer(module.data, RunFolder(folder, config=config))
        trainer.test(module, datamodule=module.data, verbose=False)

    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    test_with("name: y\n")
    assert record_of(folder)["tested_in"] == {"threads": [1, 7]}
    assert (folder / "test.yaml").read_text() == "name: y\n"
    assert record_of(folder)["config"] == {"name": "x"}
    test_with("name: x\nverbose: true\n")  # a test has an option more
    assert not (folder / "test.yaml").exists()


def test_a_change_that_is_not_committed_is_kept(
    tiny_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_folder, "uncommitted", lambda: "diff --git a/x b/x\n")
    for largest, kept in ((1_000_000, True), (3, False)):
        monkeypatch.setattr(run_folder, "LARGEST_PATCH", largest)
        module = make_module(controls=("main",))
        data = make_data(tiny_corpus, module, stages=make_plan(1, 0))
        fit(module, data, RunFolder(tmp_path, config="name: x\n"), max_steps=1)
        assert (tmp_path / "changes.patch").is_file() == kept


def test_a_resumed_training_says_what_it_did_otherwise(tiny_corpus: Path, tmp_path: Path) -> None:
    module = make_module(controls=("main",))
    data = make_data(tiny_corpus, module, stages=make_plan(1, 1))
    folder = RunFolder(tmp_path, config="rate: 1\n")
    folder.started_from = {"path": "somewhere", "weights": "last", "sha256": "0"}
    trainer = fit(module, data, folder, max_steps=2)
    trainer.save_checkpoint(tmp_path / "half.ckpt")
    module = make_module(controls=("main",))
    trainer = make_trainer(data, RunFolder(tmp_path, config="rate: 2\n"))
    trainer.fit(module, datamodule=data, ckpt_path=tmp_path / "half.ckpt", weights_only=True)
    record = record_of(tmp_path)
    assert record["resumed"] == [{"step": 2, "differs": {"config.rate": [1, 2]}}]
    assert record["config"] == {"rate": 2}
    assert record["init_from"]["path"] == "somewhere"  # it still began there


def test_training_on_drops_the_test_of_what_it_was(
    run: tuple[PersonalizedVideoChat, Path], tiny_corpus: Path
) -> None:
    """And the config says what was trained."""
    _, folder = run
    module = make_module(controls=("main",))
    data = make_data(tiny_corpus, module, stages=make_plan(1, 0))
    fit(module, data, RunFolder(folder, config="name: longer\n"))
    left = {p.name for p in folder.iterdir()}
    assert not left & {"metrics.json", "predictions.jsonl", "head_activation.png"}
    assert (folder / "config.yaml").read_text() == "name: longer\n"


def test_a_run_resumed_with_no_step_left_keeps_its_record(
    run: tuple[PersonalizedVideoChat, Path],
) -> None:
    """Nothing is trained, so nothing starts, but the end of the fit is written."""
    module, folder = run
    before = record_of(folder)
    callback = RunFolder(folder, config="name: x\n")
    callback.on_fit_end(module.trainer, module)
    after = record_of(folder)
    assert {k: v for k, v in after.items() if k != "fitted"} == {
        k: v for k, v in before.items() if k != "fitted"
    }
    assert (folder / "metrics.json").is_file()
