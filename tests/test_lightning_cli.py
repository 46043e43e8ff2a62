"""``pvchat fit|validate|test|predict`` in process, on the tiny config: run folders, overrides, refusals."""

import csv
import errno
import json
import os
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from lightning.pytorch.callbacks import Callback
from tiny import CONFIG, LAPTOP, ROOT

from pvchat import cli, lightning_cli
from pvchat.callbacks.monitoring import BestScore
from pvchat.checkpoints import read_adapter, read_checkpoint
from pvchat.evaluation import CONTROLS
from pvchat.lightning_cli import PVChatCLI
from pvchat.loading import load_weights
from pvchat.modules.attention import MoHAttention, ReMoHAttention

ATTENTION = {
    name: str(ROOT / "experiments" / "attention" / f"{name}.yaml") for name in ("dense", "moh", "remoh")
}
QFORMER = "--model.chat.init_args.qformer.init_args"
SHORT = ("--stages.video.epochs=0", "--checkpoint.every_n_steps=2")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, tiny_corpus: Path) -> Iterator[Path]:
    """A working folder with ``corpus`` in it, whose features are computed once for all tests."""
    folder = tmp_path_factory.mktemp("world")
    shutil.copytree(tiny_corpus.parent, folder / "corpus")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("PVCHAT_CACHE", str(folder / "cache"))
        patch.setenv("PVCHAT_DATA", "corpus/manifest.jsonl")
        yield folder


@pytest.fixture(scope="module")
def trained(world: Path, tiny_run: Path) -> Path:
    """A finished run of the tiny config: ``pvchat fit``, then ``pvchat test``."""
    return shutil.copytree(tiny_run, world / "runs" / "trained" / tiny_run.name)


@pytest.fixture
def resolve(world: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """``resolve(*args)``: the parsed configuration, nothing built."""

    class StopError(Exception):
        pass

    def stop(self: PVChatCLI) -> None:
        raise StopError(self.config[self.subcommand])

    def parse(*args: str) -> Any:
        with monkeypatch.context() as patch:
            patch.setattr(PVChatCLI, "before_instantiate_classes", stop)
            with pytest.raises(StopError) as found:
                lightning_cli.run(["fit", *args])
        return found.value.args[0]

    return parse


UNIQUE = ("cost/seconds", "cost/peak_memory_gb")


def rows(path: Path) -> list[dict[str, str]]:
    """Without what no two runs have in common."""
    with path.open(newline="") as file:
        return [{k: v for k, v in row.items() if k not in UNIQUE} for row in csv.DictReader(file)]


def predictions(run: Path, file: str = "predictions.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / file).read_text().splitlines()]


def test_a_run_leaves_everything_behind(trained: Path) -> None:
    files = {p.relative_to(trained).as_posix() for p in trained.rglob("*") if p.is_file()}
    events = {name for name in files if name.startswith("tensorboard/events.")}
    assert len(events) == 2  # of fit and of test
    assert files - events - {"changes.patch"} == {  # of a checkout that is being worked on
        "config.yaml",
        "run.json",
        "data.json",
        "metrics.csv",
        "metrics.json",
        "predictions.jsonl",
        "head_activation.json",
        "head_activation.png",
        "checkpoints/last.ckpt",
        "adapter/adapter.json",
        "adapter/adapter.safetensors",
    }
    record = json.loads((trained / "run.json").read_text())
    assert set(record) == {
        "started",
        "fitted",
        "tested",
        "threshold",
        "bleu",
        "weights",
        "subjects",
        "seed",
        "data",
        "base",
        "assets",
        "config",
        "environment",
        "tested_in",
    }
    metrics = json.loads((trained / "metrics.json").read_text())
    controls = set(CONTROLS)
    assert {tuple(key.split("/"))[:2] for key in metrics} == {("test", c) for c in controls}
    assert all(isinstance(value, float) for value in metrics.values())
    assert {row["control"] for row in predictions(trained)} == controls


def test_config_of_a_run_is_the_experiment(trained: Path) -> None:
    """As it was asked for: nothing of this call, and nothing that follows from the rest."""
    config = yaml.safe_load((trained / "config.yaml").read_text())
    assert config["name"] == "trained"
    assert config["stages"]["video"]["epochs"] == 0
    assert config["model"]["chat"]["init_args"]["num_soft_tokens"] == 2
    assert trained.name not in (trained / "config.yaml").read_text()
    for key in ("run_dir", "ckpt_path", "init_from"):
        assert config.get(key) is None
    for key in ("default_root_dir", "max_epochs", "logger"):
        assert config["trainer"].get(key) is None


def test_log_of_training_survives_the_test(trained: Path) -> None:
    """Lightning's CSV logger deletes what an earlier command wrote."""
    found = rows(trained / "metrics.csv")
    steps = [int(row["step"]) for row in found if row["train/loss"]]
    assert steps == [0, 1, 2, 3]
    assert all(float(row["train/lambda"]) > 0 for row in found if row["train/loss"])
    tested = [row for row in found if row["test/main/presence_auc"]]
    assert len(tested) == 1
    metrics = json.loads((trained / "metrics.json").read_text())
    assert {k: float(v) for k, v in tested[0].items() if k.startswith("test/")} == pytest.approx(metrics)


def test_validate(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (trained / "predictions.jsonl").read_bytes()
    assert cli.main(["validate", "--run", str(trained)]) == 0
    assert "val/loss" in capsys.readouterr().out
    assert (trained / "predictions.jsonl").read_bytes() == before


def test_predict_writes_answers_to_all_test_questions(
    trained: Path, world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["predict", "--run", str(trained), "--run_dir", "elsewhere"]) == 0
    told = capsys.readouterr().out
    found = predictions(world / "elsewhere", "predict.jsonl")
    tested = [row for row in predictions(trained) if row["control"] == "main"]
    assert found == tested
    assert f"{len(found)} answers: elsewhere/predict.jsonl" in told
    assert all(isinstance(row["answer"], str) for row in found)
    assert set(json.loads((world / "elsewhere" / "run.json").read_text())) >= {"predicted", "subjects"}


def test_predict_keeps_what_the_metrics_were_made_of(trained: Path) -> None:
    before = (trained / "predictions.jsonl").read_bytes()
    assert cli.main(["predict", "--run", str(trained)]) == 0
    assert (trained / "predictions.jsonl").read_bytes() == before
    (trained / "predict.jsonl").unlink()


def test_a_run_is_used_from_any_folder(
    trained: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its config was made with a manifest relative to the folder of then."""
    run = shutil.copytree(trained, tmp_path / "run")
    (run / "config.yaml").unlink()
    assert cli.main(["test", *CONFIG, "--stages.video.epochs=0", "--run_dir", str(run)]) == 0
    monkeypatch.chdir(tmp_path)
    assert cli.main(["validate", "--run", str(run)]) == 0


def test_test_again_is_the_same(trained: Path) -> None:
    """Built anew, loaded from the adapter, under another start of the process: bit by bit the same."""
    before = (trained / "metrics.json").read_bytes(), (trained / "predictions.jsonl").read_bytes()
    assert cli.main(["test", "--run", str(trained)]) == 0
    assert before == ((trained / "metrics.json").read_bytes(), (trained / "predictions.jsonl").read_bytes())


def test_every_value_can_be_overridden(resolve: Callable[..., Any]) -> None:
    config = resolve(
        *CONFIG,
        "--seed_everything=7",
        "--model.learning_rates.lora=0.5",
        "--model.chat.init_args.qformer.init_args.num_layers=3",
        "--model.chat.init_args.language_model.init_args.lora.rank=2",
        "--model.objective.init_args.smooth_proximity.init_args.k=0.1",
        "--model.controls=[main]",
        "--stages.image.trainable=[token_rows]",
        "--stages.video.num_frames=3",
        "--trainer.accumulate_grad_batches=2",
        "--data.source.init_args.path=other.jsonl",
    )
    assert config.model.seed == config.data.seed == config.seed_everything == 7
    chat = config.model.chat.init_args
    assert config.model.learning_rates.lora == 0.5
    assert config.model.learning_rates.qformer == 1e-3
    assert chat.qformer.init_args.num_layers == 3
    assert chat.qformer.init_args.width == 32
    assert chat.language_model.init_args.lora.rank == 2
    assert config.model.objective.init_args.smooth_proximity.init_args.k == 0.1
    assert config.model.controls == ["main"]
    assert list(config.stages.image.trainable) == ["token_rows"]
    assert config.stages.video.num_frames == 3
    assert config.trainer.accumulate_grad_batches == 2
    assert config.data.source.init_args.path == "other.jsonl"


def test_short_names_reach_into_classes(resolve: Callable[..., Any]) -> None:
    assert resolve(*CONFIG, "--data.source.path=x.jsonl").data.source.init_args.path == "x.jsonl"


def test_environment_variables_are_read(resolve: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PVCHAT_DATA", "mine.jsonl")
    assert resolve("-c", LAPTOP).data.source.init_args.path == "mine.jsonl"


@pytest.mark.parametrize(
    ("name", "attention", "arguments"),
    [
        ("dense", None, None),
        ("moh", MoHAttention, {"num_heads", "num_shared_heads", "top_k", "dropout"}),
        ("remoh", ReMoHAttention, {"num_heads", "num_shared_heads", "init", "dropout"}),
    ],
)
def test_overlays_merge(
    resolve: Callable[..., Any], name: str, attention: type | None, arguments: set[str] | None
) -> None:
    """Over laptop.yaml they change the attention and its losses, and nothing else; a swapped class keeps no
    argument of the one it replaces."""
    base, config = resolve("-c", LAPTOP), resolve("-c", LAPTOP, "-c", ATTENTION[name])
    routed = config.model.chat.init_args.qformer.init_args.pop("routed")
    if attention is None:
        assert routed is None
    else:
        assert routed.class_path.rpartition(".")[2] == attention.__name__
        assert set(routed.init_args.keys()) == arguments
    parts = config.model.objective.init_args
    on = {n for n in ("smooth_proximity", "head_activation", "load_balance") if parts[n]}
    assert (
        on
        == {"dense": set(), "moh": {"load_balance"}, "remoh": {"smooth_proximity", "head_activation"}}[name]
    )
    assert parts.language_modeling == base.model.objective.init_args.language_modeling
    base.model.chat.init_args.qformer.init_args.pop("routed")
    for part in (base.model, config.model):
        part.pop("objective")
    for both in (base, config):
        both.pop("config")
    assert config == base


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--modle.warmup_steps=3"], "unknown option --modle.warmup_steps=3: pvchat fit --help lists"),
        (["--model.warmup_stepz=3"], "unknown option --model.warmup_stepz=3"),
        ([f"{QFORMER}.num_layerz=3"], "model.chat.qformer has no option 'num_layerz': pvchat fit --help"),
        (["--model.objective.init_args.smooth_proximity.init_args.kk=1"], "has no option 'kk'"),
        (["--data.source.pth=x"], "data.source has no option 'pth'"),
        (["--model.warmup_steps=many"], "model.warmup_steps must be int: got many"),
        (["--data.batch_size=2.5"], r"data.batch_size must be int: got 2\.5\."),
        (["--model.warmup_step=3"], "unknown option --model.warmup_step=3"),  # a beginning is no option
        (["--data.batch", "3"], "unknown option --data.batch 3"),
        (["--seed", "-3"], "unknown option --seed -3"),
        (["--seed_everything=-3"], "seed_everything must be in 0..4294967295: got -3"),
        (["--threads=-1"], "threads must be >= 1 or null: got -1"),
        (["--threads=0"], "threads must be >= 1 or null: got 0"),
        (["--name="], "name must be the name of one folder, such as laptop: got ''"),
        (["--name=../../x"], "name must be the name of one folder, such as laptop: got '../../x'"),
        (["--runs=/dev/null/x"], "/dev/null/x/refused/.* cannot be written: Not a directory"),
        (["--run_dir=/dev/null/x"], "/dev/null/x cannot be written: Not a directory"),
        (["--threads=x"], "threads must be int or null: got x"),
        (["--stages.image.epochs=one"], "stages.image.epochs must be int: got one"),
        (["--model.controls=[main,sideways]"], "model.controls must be one of 'main', .*: got sideways"),
        (["--checkpoint.monitor=val/los"], "checkpoint.monitor must be .*'val/loss'.*: got val/los"),
        (["--early_stopping.monitor=train/loss"], "early_stopping.monitor must be one of 'val/loss'"),
        (["--logger=paper"], "logger must be one of 'csv', 'tensorboard', 'wandb', .*: got paper"),
        (
            ["--model.chat.init_args.views.init_args.encoder=NoViT"],
            "must be the path of a class.*: got NoViT",
        ),
        (["--data.source=nowhere.Source"], "data.source must be .* imported: No module named 'nowhere'"),
        (["--data.source=pvchat.cli.Source"], "module 'pvchat.cli' has no attribute 'Source'"),
        (["-c", "nowhere.yaml"], "a config must be a file: .*nowhere.yaml does not exist. Give"),
        (
            ["--stages.video.trainable=[qformer,vit]"],
            r"unknown groups \['vit'\]; available: \['encoder_late'",
        ),
        (["--run=runs/x"], "--run does not go with fit"),
        (["--resume=runs/x"], "a run folder holds config.yaml"),
        (["--resume"], "--resume takes a run folder: got nothing"),
    ],
)
def test_typos_are_refused_in_one_sentence_before_anything_loads(
    world: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    def load(_: PVChatCLI) -> None:
        pytest.fail("something was built")

    monkeypatch.setattr(PVChatCLI, "instantiate_classes", load)
    assert cli.main(["fit", *CONFIG, "--name", "refused", *arguments]) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("pvchat: error: ")
    assert len(error.splitlines()) == 1
    assert re.search(message, error)
    assert not (world / "runs" / "refused").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data.source.path=nowhere.jsonl"], "the manifest nowhere.jsonl cannot be read"),
        (["--data.num_frames=0"], "num_frames must be >= 1: got 0"),
        (["--data.num_frames=9"], "data.num_frames must be at most max_frames=8 of the views: got 9"),
        (["--model.chat.init_args.qformer.init_args.first_routed_layer=9"], "first_routed_layer must be in"),
        (["--stages.video.epochs=-1"], "epochs of a stage must be >= 0: got -1"),
        (["--early_stopping.patience=0"], "early_stopping.patience must be >= 1 or null: got 0"),
        (
            ["--early_stopping.patience=1", "--trainer.limit_val_batches=0"],
            "val/loss is measured on validation clips: got none, or trainer.limit_val_batches 0",
        ),
        (["--checkpoint.every_n_steps=0"], "checkpoint.every_n_steps must be >= 1: got 0"),
        (["--trainer.accelerator=gpux"], "the trainer cannot be what was asked for: You selected an invalid"),
        (["--trainer.devices=0"], "the trainer cannot be what was asked for: "),
        (["--init_from=nowhere"], "a run folder holds config.yaml: nowhere does not"),
        (["--stages.image.question_types=[action]"], "no training question is of type"),
    ],
)
def test_a_start_that_fails_leaves_no_folder(
    world: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert cli.main(["fit", *CONFIG, "--name", "failed", *arguments]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("pvchat: error: ")
    assert message in error
    assert not (world / "runs" / "failed").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fit"], "fit needs a config: got none. Give one, such as -c experiments/debug.yaml"),
        (["test"], "test needs a trained run: got none. Give --run RUN"),
        (["fit", "-c", "bytes.yaml"], "cannot read bytes.yaml: it is not UTF-8 text"),
        (["fit", "-c", "empty.yaml"], "cannot read empty.yaml: it holds no keys and values"),
        (["fit", "--config=broken.yaml"], "cannot read broken.yaml: it is malformed (while parsing"),
    ],
)
def test_configs_that_are_none(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bytes.yaml").write_bytes(b"name: \xff\n")
    (tmp_path / "empty.yaml").touch()
    (tmp_path / "broken.yaml").write_text("name: [\n")
    assert cli.main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"pvchat: error: {message}")


def test_init_from_starts_from_the_adapter(
    world: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[PVChatCLI] = []
    monkeypatch.setattr(PVChatCLI, "_run_subcommand", lambda self, _: built.append(self))
    lightning_cli.run(["fit", *CONFIG, "--name", "warm", "--init_from", str(trained.parent)])
    weights, _ = read_adapter(trained / "adapter")
    state = built[0].model.state_dict()
    assert all(torch.equal(state[name], value) for name, value in weights.items())
    assert built[0].run_dir is not None
    assert built[0].run_dir.parent.name == "warm"
    assert load_weights(built[0].model, trained / "adapter") == trained / "adapter"


def test_the_best_weights_are_used_where_asked_for(
    world: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those at the end unless ``--weights best``, here of the first epoch; which, is said on screen and in
    run.json."""
    monkeypatch.setattr(BestScore, "improves", lambda _, trainer: trainer.current_epoch == 0)
    assert cli.main(["fit", *CONFIG, "--checkpoint.monitor=val/loss", "--name=judged"]) == 0
    (run,) = (world / "runs" / "judged").iterdir()
    assert "(with --weights best: as validated best)" in capsys.readouterr().out
    losses = [float(row["val/loss"]) for row in rows(run / "metrics.csv") if row["val/loss"]]
    assert losses[0] != pytest.approx(losses[-1], rel=1e-2)
    for more, file, loss in (
        ([], "adapter", losses[-1]),
        (["--weights=best"], "checkpoints/best.ckpt", losses[0]),
    ):
        assert cli.main(["validate", "--run", str(run), *more]) == 0
        shown = capsys.readouterr()
        assert f"Weights: {run / file}" in shown.err
        assert float(re.search(r"val/loss\D+([\d.]+)", shown.out)[1]) == pytest.approx(loss, rel=1e-4)  # type: ignore[index]
    assert cli.main(["test", "--run", str(run), "--weights=best", "--model.generate=[]"]) == 0
    assert json.loads((run / "run.json").read_text())["weights"] == "best"


def test_best_weights_that_are_not_there(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["validate", "--run", str(trained), "--weights=best"]) == 2
    assert "best.ckpt, which does not exist: train with --checkpoint.monitor val/loss" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model.chat.init_args.language_model.init_args.seed=1"], "was trained on another base model"),
        (
            ["--model.chat.init_args.views.init_args.encoder.init_args.seed=1"],
            "trained on another base model",
        ),
        (["--model.chat.init_args.num_soft_tokens=3"], "does not fit this model: of another shape"),
    ],
)
def test_an_adapter_of_another_model_is_refused(
    trained: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert cli.main(["fit", *CONFIG, "--name", "foreign", "--init_from", str(trained), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not (trained.parent.parent / "foreign").exists()


def test_a_checkpoint_of_another_model_is_refused(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {p: p.stat().st_mtime_ns for p in trained.rglob("*") if p.is_file()}
    other = "--model.chat.init_args.language_model.init_args.seed=1"
    assert cli.main(["fit", "--resume", str(trained), other]) == 2
    assert "the checkpoint was trained on another base model" in capsys.readouterr().err
    assert {p: p.stat().st_mtime_ns for p in trained.rglob("*") if p.is_file()} == before
    checkpoint = trained / "checkpoints" / "last.ckpt"
    assert cli.main(["fit", *CONFIG, *SHORT, "--name=foreign", f"--ckpt_path={checkpoint}", other]) == 2
    assert not (trained.parent.parent / "foreign").exists()


def test_an_evil_checkpoint_is_refused_and_runs_nothing(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Exploit:
        def __reduce__(self) -> tuple[Any, ...]:
            return (print, ("code ran",))

    torch.save({"state_dict": Exploit()}, tmp_path / "evil.ckpt")
    for path, message in ((tmp_path / "evil.ckpt", "cannot read the checkpoint"), ("last", "last is none")):
        assert cli.main(["fit", *CONFIG, "--name", "evil", f"--ckpt_path={path}"]) == 2
        shown = capsys.readouterr()
        assert message in shown.err
        assert "code ran" not in shown.out
    assert not (world / "runs" / "evil").exists()


def test_resume_without_a_checkpoint_is_refused(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(trained / "config.yaml", tmp_path)
    assert cli.main(["fit", "--resume", str(tmp_path)]) == 2
    assert "last.ckpt, which does not exist: start the run anew" in capsys.readouterr().err


def test_an_unfinished_run_cannot_be_tested(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(trained / "config.yaml", tmp_path)
    assert cli.main(["test", "--run", str(tmp_path)]) == 2
    assert "an adapter is a folder with adapter.safetensors and adapter.json" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["config.yaml"]


class Stop(Callback):
    """Ends a run as if it had been killed, before its third batch."""

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if trainer.global_step == 3:
            raise RuntimeError("killed")


def test_a_resumed_run_continues_its_folder(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its weights and its whole log are those of a run left alone; see tests/test_resume.py for SIGKILL."""
    short = ("--checkpoint.every_n_steps=2", "--trainer.limit_val_batches=0")
    assert cli.main(["fit", *CONFIG, *short, "--name", "whole"]) == 0
    (whole,) = (world / "runs" / "whole").iterdir()
    instantiate = PVChatCLI.instantiate_trainer

    def with_stop(self: PVChatCLI, **kwargs: Any) -> Any:
        trainer = instantiate(self, **kwargs)
        trainer.callbacks.append(Stop())
        return trainer

    with monkeypatch.context() as patch:
        patch.setattr(PVChatCLI, "instantiate_trainer", with_stop)
        with pytest.raises(RuntimeError, match="killed"):
            cli.main(["fit", *CONFIG, *short, "--name", "killed"])
    (killed,) = (world / "runs" / "killed").iterdir()
    assert [int(row["step"]) for row in rows(killed / "metrics.csv")] == [0, 1, 2]
    assert not (killed / "adapter").exists()
    config = (killed / "config.yaml").read_bytes()
    assert cli.main(["fit", "--resume", str(killed)]) == 0
    assert [p.name for p in (world / "runs" / "killed").iterdir()] == [killed.name]
    assert (killed / "config.yaml").read_bytes() == config
    ours, theirs = (read_adapter(run / "adapter")[0] for run in (whole, killed))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert rows(killed / "metrics.csv") == rows(whole / "metrics.csv")


class Signal(Callback):
    """Sends this process ``number`` within step ``step``."""

    def __init__(self, number: int, step: int) -> None:
        self.number, self.step = number, step

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        if trainer.global_step == self.step:
            os.kill(os.getpid(), self.number)


@pytest.fixture
def listening() -> Iterator[None]:
    """Ctrl-C is heard, as in a terminal; a process in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("listening")
@pytest.mark.parametrize(
    ("number", "step", "accumulated"),
    [(signal.SIGINT, 1, 1), (signal.SIGTERM, 3, 1), (signal.SIGTERM, 7, 1), (signal.SIGINT, 1, 2)],
    ids=["inside", "end of a stage", "end", "accumulated"],
)
def test_an_interrupted_run_is_saved_and_continues(
    world: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: int,
    step: int,
    accumulated: int,
) -> None:
    """After the step, before any other checkpoint was due; its end is that of a run left alone."""
    name = f"interrupted-{int(number)}-{step}-{accumulated}"
    settings = (f"--trainer.accumulate_grad_batches={accumulated}", "--trainer.limit_val_batches=0")
    instantiate = PVChatCLI.instantiate_trainer

    def with_signal(self: PVChatCLI, **kwargs: Any) -> Any:
        trainer = instantiate(self, **kwargs)
        trainer.callbacks.append(Signal(number, step))
        return trainer

    with monkeypatch.context() as patch:
        patch.setattr(PVChatCLI, "instantiate_trainer", with_signal)
        assert cli.main(["fit", *CONFIG, *settings, "--name", name]) == 128 + number
    (run,) = (world / "runs" / name).iterdir()
    said = capsys.readouterr().err.strip().splitlines()[-1]
    expected = (
        f"interrupted at step {step + 1}; continue with `pvchat fit --resume {Path('runs', name, run.name)}`."
    )
    assert said == f"pvchat: {expected}"
    assert [p.name for p in (run / "checkpoints").iterdir()] == ["last.ckpt"]
    assert read_checkpoint(run / "checkpoints" / "last.ckpt")["global_step"] == step + 1
    assert len(rows(run / "metrics.csv")) == step + 1
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert cli.main(["fit", "--resume", str(run)]) == 0
    undisturbed = world / "runs" / f"undisturbed-{accumulated}"
    if not undisturbed.exists():
        assert cli.main(["fit", *CONFIG, *settings, "--name", undisturbed.name]) == 0
    (whole,) = undisturbed.iterdir()
    ours, theirs = (read_adapter(path / "adapter")[0] for path in (run, whole))
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    assert rows(run / "metrics.csv") == rows(whole / "metrics.csv")


def test_an_interrupt_before_training_leaves_nothing(
    world: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("pvchat.training.PersonalizedVideoChat.on_fit_start", stop)
        assert cli.main(["fit", *CONFIG, "--name", "early"]) == 130
    assert capsys.readouterr().err.endswith("pvchat: interrupted.\n")
    assert not (world / "runs" / "early").exists()


def test_a_full_disk_is_one_sentence_and_leaves_no_half_checkpoint(
    world: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fill(self: Any, path: Path, **_: Any) -> None:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")  # of a write: it names no file

    with monkeypatch.context() as patch:
        patch.setattr("lightning.Trainer.save_checkpoint", fill)
        assert cli.main(["fit", *CONFIG, "--name", "full"]) == 2
    assert "last.ckpt cannot be written: No space left on device." in capsys.readouterr().err
    (run,) = (world / "runs" / "full").iterdir()
    assert list((run / "checkpoints").iterdir()) == []


def test_a_logger_of_ones_own_or_none(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[PVChatCLI] = []
    monkeypatch.setattr(PVChatCLI, "_run_subcommand", lambda self, _: built.append(self))
    lightning_cli.run(["fit", *CONFIG, "--name", "silent", "--trainer.logger=false"])
    assert built[0].trainer.loggers == []


def test_help_and_resolved_config(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, shown in (
        (["fit", "--help"], "--model.warmup_steps"),
        (["test", *CONFIG, "--print_config"], "num_soft_tokens: 2"),
    ):
        with pytest.raises(SystemExit) as ended:
            cli.main(arguments)
        assert ended.value.code in (0, None)
        assert shown in capsys.readouterr().out
