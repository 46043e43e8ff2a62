"""A run is loaded by its config and adapter: it answers as it did when it was tested."""

import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from tiny import draw, save_clip

from pvchat.checkpoints import read_adapter
from pvchat.datamodules.manifest import read_manifest
from pvchat.errors import UserError
from pvchat.loading import PersonalModel, load_run


@pytest.fixture(scope="module")
def model(tiny_run: Path) -> PersonalModel:
    return load_run(tiny_run)


def test_it_answers_as_it_was_tested(model: PersonalModel, tiny_run: Path, tiny_corpus: Path) -> None:
    """Clip by clip and one question at a time, from the files alone."""
    clips = {record.id: record.path for record in read_manifest(tiny_corpus)}
    rows = [json.loads(line) for line in (tiny_run / "predictions.jsonl").read_text().splitlines()]
    main = [row for row in rows if row["control"] == "main"][::5]
    assert len(main) > 3
    for row in main:
        batch = model.batch(model.look(clips[row["clip_id"]]), row["question"])
        assert model.chat.answer(batch, max_new_tokens=8) == [row["answer"]]
        assert float(model.chat.presence_scores(batch)) == pytest.approx(row["score"], abs=1e-4)


def test_its_weights_are_the_adapters(model: PersonalModel, tiny_run: Path) -> None:
    weights, _ = read_adapter(tiny_run / "adapter")
    state = model.chat.state_dict()
    assert all(torch.equal(state[name.removeprefix("chat.")], value) for name, value in weights.items())
    assert not model.chat.training


def test_loading_draws_no_different_base(tiny_run: Path, model: PersonalModel) -> None:
    """Whatever the random state is, what is not in the adapter is the same."""
    torch.manual_seed(123)
    again = load_run(tiny_run).chat.state_dict()
    assert all(torch.equal(value, again[name]) for name, value in model.chat.state_dict().items())


def test_photos_and_clips_are_looked_at(model: PersonalModel, tmp_path: Path) -> None:
    frames = [draw(("tom",), "red", "inside", shift=2 * t) for t in range(4)]
    for name in ("clip.mp4", "photo.png"):
        features = model.look(save_clip(tmp_path / name, frames))
        assert features["global"].shape[0] == model.settings.num_frames == 2
        assert features["face.mask"].all()


def test_clips_are_decoded_as_in_training(tiny_run: Path, tmp_path: Path) -> None:
    run = shutil.copytree(tiny_run, tmp_path / "run")
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["data"] |= {"num_frames": 3, "frame_policy": "middle", "max_px": 48}
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    assert vars(load_run(run).settings) == {"num_frames": 3, "frame_policy": "middle", "max_px": 48}


def test_questions_are_about_whom_they_name(model: PersonalModel, tmp_path: Path) -> None:
    features = model.look(save_clip(tmp_path / "photo.png", [draw(("tom",), "red", "inside")]))
    assert model.batch(features, "Is <tom> here?").person_mask.tolist() == [[True]]
    with pytest.raises(UserError, match=r"unknown subject 'ann'; registered: \['tom'\]"):
        model.batch(features, "Is <ann> here?")


def test_a_missing_clip_is_one_sentence(model: PersonalModel) -> None:
    with pytest.raises(UserError, match=r"nowhere\.mp4"):
        model.look("nowhere.mp4")


@pytest.fixture
def copy(tiny_run: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny_run, tmp_path / "run")


def test_an_unfinished_run_is_refused(copy: Path) -> None:
    shutil.rmtree(copy / "adapter")
    with pytest.raises(
        UserError, match=r"needs a trained adapter/: .*run has none \(training unfinished\?\)"
    ):
        load_run(copy)


def test_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a run folder holds config\.yaml: .* does not\. Give one"):
        load_run(tmp_path)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("config.yaml", "model: [", r"cannot read .*config\.yaml: it is malformed \(while parsing"),
        ("config.yaml", "[]", r"cannot read .*config\.yaml: it holds no keys and values"),
        ("config.yaml", "name: x", r"run was not written by this version of pvchat: no 'model'\. Use the"),
        ("config.yaml", None, r"this version of pvchat: model has no option 'colour'"),
        ("run.json", "{", r"cannot read .*run\.json: it is malformed"),
        ("run.json", "", r"cannot read .*run\.json: No such file or directory"),
        ("adapter/adapter.json", "[]", r"cannot read .*adapter\.json: it is damaged"),
        ("adapter/adapter.json", "{}", r"cannot read .*adapter\.json: it is damaged"),
    ],
)
def test_a_damaged_run_is_one_sentence(copy: Path, file: str, content: str | None, message: str) -> None:
    if content is None:
        config = yaml.safe_load((copy / file).read_text())
        config["model"]["colour"] = "red"
        content = yaml.safe_dump(config)
    (copy / file).unlink()
    if content:
        (copy / file).write_text(content)
    with pytest.raises(UserError, match=message):
        load_run(copy)


def test_an_adapter_without_a_base_is_refused(copy: Path) -> None:
    record = json.loads((copy / "adapter" / "adapter.json").read_text())
    del record["base_fingerprint"]
    (copy / "adapter" / "adapter.json").write_text(json.dumps(record))
    with pytest.raises(UserError, match=r"was trained on another base model \(None\)"):
        load_run(copy)


def test_an_adapter_of_another_base_is_refused(copy: Path) -> None:
    config = yaml.safe_load((copy / "config.yaml").read_text())
    config["model"]["chat"]["init_args"]["language_model"]["init_args"]["seed"] = 1
    (copy / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(UserError, match="was trained on another base model"):
        load_run(copy)


def test_a_damaged_adapter_is_refused(copy: Path) -> None:
    path = copy / "adapter" / "adapter.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match="damaged"):
        load_run(copy)
