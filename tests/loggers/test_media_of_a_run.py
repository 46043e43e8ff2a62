"""What was promised is in the files: TensorBoard's and W&B's, of a whole run, in each of its stages."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny import CONFIG, make_corpus
from wandb_file import read_artifacts, read_history, read_run_config, wait_for_end

from pvchat import cli

GROUPS = ("token_rows", "qformer", "router", "lora")
SCALARS = {
    "train/loss",
    "train/smooth_proximity",
    "train/head_activation",
    "train/lambda",
    "train/active_rate",
    "train/active_rate/layer0.self",
    "train/active_rate/layer0.cross",
    "train/active_rate/layer1.self",
    "train/video_stage",
    "cost/seconds",
    "cost/samples",
    "cost/peak_memory_gb",
    "cost/tflop",
    *(f"train/{kind}_norm/{group}" for kind in ("gradient", "parameter") for group in GROUPS),
}
PICTURES = {"test/head_activation", "test/confusion", "test/reliability"}
TABLES = {"val/sample_answers", "test/sample_answers"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fitted and tested, with all loggers that need no server."""
    import wandb

    folder = tmp_path_factory.mktemp("logged")
    manifest = make_corpus(folder / "corpus")
    data = (f"--data.source.path={manifest}", f"--data.cache_dir={folder / 'cache'}")
    given = ("--name=logged", f"--runs={folder / 'runs'}", "--logger=wandb")
    assert cli.main(["fit", *CONFIG, *data, *given]) == 0
    (path,) = (folder / "runs" / "logged").iterdir()
    assert cli.main(["test", "--run", str(path), "--logger=wandb"]) == 0
    wandb.finish()
    return path


@pytest.fixture(scope="module")
def events(run: Path) -> EventAccumulator:
    found = EventAccumulator(str(run / "tensorboard"))
    found.Reload()
    return found


@pytest.fixture(scope="module")
def wandb_file(run: Path) -> Path:
    """One for fit and test of a process."""
    (file,) = (run / "wandb").glob("offline-run-*/*.wandb")
    return wait_for_end(file)


@pytest.fixture(scope="module")
def history(wandb_file: Path) -> list[dict[str, Any]]:
    return read_history(wandb_file)


def csv_rows(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def last_image_step(run: Path) -> int:
    return max(int(row["step"]) for row in csv_rows(run) if row["train/video_stage"] == "0.0")


def stages_of(steps: list[int], boundary: int) -> set[str]:
    return {"image" if step <= boundary else "video" for step in steps}


def test_every_number_is_in_each_log_in_each_stage(
    run: Path, events: EventAccumulator, history: list[dict[str, Any]]
) -> None:
    boundary = last_image_step(run)
    for name in SCALARS:
        logged = {
            "csv": [int(row["step"]) for row in csv_rows(run) if row.get(name)],
            "tensorboard": [event.step for event in events.Scalars(name)],
            "wandb": [row["trainer/global_step"] for row in history if name in row],
        }
        assert logged["csv"] == logged["tensorboard"] == logged["wandb"], name
        assert stages_of(logged["csv"], boundary) == {"image", "video"}, name


def test_all_logs_have_the_same_numbers(
    run: Path, events: EventAccumulator, history: list[dict[str, Any]]
) -> None:
    names = {name for name in csv_rows(run)[0] if "/" in name}
    assert names >= SCALARS | {"val/loss", "test/main/presence_auc"}
    assert {name for name in events.Tags()["scalars"] if name != "epoch"} == names
    for name in names:
        values = [float(row[name]) for row in csv_rows(run) if row[name]]
        assert [event.value for event in events.Scalars(name)] == pytest.approx(values, nan_ok=True)
        assert [row[name] for row in history if name in row] == pytest.approx(values, nan_ok=True)


def test_costly_numbers_are_not_at_each_step(run: Path) -> None:
    """At the first step of each of the two epochs, in the row of that step."""
    rows = csv_rows(run)
    steps = [int(row["step"]) for row in rows if row["train/loss"]]
    assert steps == list(range(len(steps)))
    for name in ("train/gradient_norm/qformer", "cost/samples"):
        shown = [row for row in rows if row[name]]
        assert [int(row["step"]) for row in shown] == [0, last_image_step(run) + 1]
        assert all(row["train/loss"] for row in shown)


def test_late_blocks_have_norms_in_the_video_stage_alone(run: Path, events: EventAccumulator) -> None:
    steps = [event.step for event in events.Scalars("train/gradient_norm/encoder_late")]
    assert stages_of(steps, last_image_step(run)) == {"video"}


def test_stages_are_marked_where_they_begin(
    run: Path, events: EventAccumulator, history: list[dict[str, Any]]
) -> None:
    begun = [(0, "image"), (last_image_step(run) + 1, "video")]
    assert [(r["trainer/global_step"], r["train/stage"]) for r in history if "train/stage" in r] == begun
    told = events.Tensors("train/stage/text_summary")
    assert [(e.step, e.tensor_proto.string_val[0].decode()) for e in told] == begun


def test_pictures(
    run: Path, wandb_file: Path, events: EventAccumulator, history: list[dict[str, Any]]
) -> None:
    files = wandb_file.parent / "files"
    for name in PICTURES:
        (shown,) = [row[name] for row in history if name in row]
        (picture,) = shown["filenames"]
        assert (files / picture).read_bytes().startswith(b"\x89PNG")
        (image,) = events.Images(name)
        assert image.encoded_image_string.startswith(b"\x89PNG")
        assert [image.width, image.height] == [shown["width"], shown["height"]]
    assert set(events.Tags()["images"]) == PICTURES | {f"{name}/pictures" for name in TABLES}


def test_sample_answers(
    run: Path, wandb_file: Path, events: EventAccumulator, history: list[dict[str, Any]]
) -> None:
    """In validation at the end of each stage, and of the test, with frames."""
    asked = [row for row in map(json.loads, (run / "predictions.jsonl").open()) if row["control"] == "main"]
    tables = {name: [row[name] for row in history if name in row] for name in TABLES}
    assert {name: len(found) for name, found in tables.items()} == {
        "val/sample_answers": 2,
        "test/sample_answers": 1,
    }
    steps = [row["trainer/global_step"] for row in history if "val/sample_answers" in row]
    assert stages_of([step - 1 for step in steps], last_image_step(run)) == {"image", "video"}
    table = json.loads((wandb_file.parent / "files" / tables["test/sample_answers"][0]["path"]).read_text())
    assert table["columns"] == ["type", "clip", "frames", "question", "answer", "reference", "score"]
    assert len(table["data"]) == 8
    rows = [dict(zip(table["columns"], values, strict=True)) for values in table["data"]]
    known = {(row["clip_id"], row["question"], row["answer"], row["score"]) for row in asked}
    assert {(r["clip"], r["question"], r["answer"], r["score"]) for r in rows} <= known
    assert len({row["clip"] for row in rows}) > 3
    (pictures,) = [files for name, files in read_artifacts(wandb_file) if "-testsample_answers-" in name]
    assert sum(Path(file).suffix == ".png" for file in pictures) >= len({row["clip"] for row in rows})
    (text,) = events.Tensors("test/sample_answers/text_summary")
    markdown = text.tensor_proto.string_val[0].decode()
    assert all(row["clip"] in markdown for row in rows)
    assert "&lt;tom&gt;" in markdown


def test_the_resolved_config(run: Path, wandb_file: Path) -> None:
    config = read_run_config(wandb_file)
    kept = yaml.safe_load((run / "config.yaml").read_text())
    assert {name: config[name] for name in kept} == kept


def test_cost_is_what_was_done(run: Path) -> None:
    rows = [row for row in csv_rows(run) if row["cost/samples"]]
    samples = [float(row["cost/samples"]) for row in rows]
    assert samples == sorted(samples)
    assert samples[0] == 4  # the batch of tiny.yaml
    seconds, tflop = ([float(row[f"cost/{n}"]) for row in rows] for n in ("seconds", "tflop"))
    assert 0 < seconds[0] < seconds[-1]
    assert tflop[0] > 0
    later = (tflop[-1] - tflop[0]) / (samples[-1] - samples[0])
    assert later > tflop[0] / samples[0]  # the video stage shows more frames
