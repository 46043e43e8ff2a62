"""Which W&B run a run folder gets, also from an agent, and what happens without a server."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from wandb_file import read_history, read_records, read_run_config, wait_for_end

from pvchat.errors import UserError
from pvchat.loggers import EventLog, RunLog, WandbLog, make_loggers, wandb_log
from pvchat.loggers.wandb_log import SWEEP, show_config


@pytest.fixture(autouse=True)
def finished() -> Iterator[None]:
    import wandb

    yield
    wandb.finish()


def ended(folder: Path) -> Path:
    """What the one run of ``folder`` left."""
    (path,) = folder.glob("wandb/*run-*/*.wandb")
    return wait_for_end(path)


def test_each_name_adds_to_those_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SWEEP, raising=False)
    names = ("csv", "tensorboard", "wandb", "wandb-online")
    kinds = [[type(log) for log in make_loggers(name, tmp_path, "x")] for name in names]
    every = [RunLog, EventLog, WandbLog]
    assert kinds == [every[:1], every[:2], every, every]


def test_wandb_without_a_key_is_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setattr("wandb.login", lambda **_: False)
    with pytest.raises(
        UserError, match=r"--logger wandb-online needs an API key of W&B: got none. Run `wandb"
    ):
        make_loggers("wandb-online", tmp_path, "x")


def test_a_folder_has_one_run_and_each_its_own(tmp_path: Path) -> None:
    """A test in the same process continues the run of the fit; another run folder ends it."""
    one, two = tmp_path / "a b", tmp_path / "c"
    for number, folder in enumerate((one, one, two)):
        folder.mkdir(exist_ok=True)
        WandbLog(folder, "moh", online=False).log_metrics({"train/loss": 1.0}, step=number)
    import wandb

    wandb.finish()
    first, second = ended(one), ended(two)
    assert [row["trainer/global_step"] for row in read_history(first)] == [0, 1]
    assert [row["trainer/global_step"] for row in read_history(second)] == [2]
    assert first.name.startswith("run-moh-a-b-")
    assert WandbLog(one, "moh", online=False).version in first.name
    assert WandbLog(two, "moh", online=False).version in second.name


def test_another_folder_ends_a_run_as_its_training_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import wandb

    one, two = tmp_path / "a b", tmp_path / "c"
    for folder in (one, two):
        folder.mkdir()
        log = WandbLog(folder, "x", online=False)
        log.log_metrics({"train/loss": 1.0}, step=0)
        log.finalize("failed" if folder == one else "success")
    assert [r.exit.exit_code for r in read_records(ended(one)) if r.HasField("exit")] == [1]
    assert capsys.readouterr().err == ""

    def finish(run: Any, exit_code: int) -> None:
        raise TimeoutError

    with monkeypatch.context() as patch:
        patch.setattr(wandb.Run, "finish", finish)
        wandb_log._end()
    told = capsys.readouterr().err
    (kept,) = two.glob("wandb/*-run-*")
    assert told.startswith("W&B did not get all of the run, which is whole on disk. Send it later: ")
    assert told.endswith(f": wandb sync --include-online {kept}\n")


def test_it_attaches_to_the_run_of_an_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what `wandb agent` sets for the processes it starts; swept values stay, the rest is added."""
    import wandb

    wandb.teardown()  # it reads the environment once
    swept = {"model.warmup_steps": 7, "seed_everything": 3}
    parameters = tmp_path / "parameters.yaml"
    parameters.write_text(yaml.safe_dump({k: {"value": v} for k, v in swept.items()} | {"wandb_version": 1}))
    monkeypatch.setenv(SWEEP, "tokens")
    monkeypatch.setenv("WANDB_RUN_ID", "made-by-the-agent")
    monkeypatch.setenv("WANDB_SWEEP_PARAM_PATH", str(parameters))
    loggers = make_loggers("tensorboard", tmp_path, "x")
    (log,) = (logger for logger in loggers if isinstance(logger, WandbLog))
    show_config(log, {"seed_everything": 4, "model": {"warmup_steps": 7, "seed": 3}})
    assert (log.experiment.id, log.experiment.sweep_id) == ("made-by-the-agent", "tokens")
    log.experiment.finish()
    config = read_run_config(ended(tmp_path))
    assert {name: config[name] for name in swept} == swept
    assert config["model"] == {"warmup_steps": 7, "seed": 3}
    assert not any(isinstance(logger, WandbLog) for logger in make_loggers("csv", tmp_path, "x"))
    wandb.teardown()


def test_a_server_that_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run begins offline, and says so once."""
    import wandb

    begin = wandb.init

    def init(**given: Any) -> Any:
        if given.get("mode") != "offline":
            raise wandb.errors.CommError("Run initialization has timed out after 30.0 sec.\nmore")
        return begin(**given)

    monkeypatch.setattr("wandb.init", init)
    monkeypatch.setattr("wandb.login", init)
    monkeypatch.setenv("WANDB_MODE", "online")
    log = WandbLog(tmp_path, "x", online=True)
    for step in range(2):
        log.log_metrics({"train/loss": 1.0}, step=step)
    assert capsys.readouterr().err.count("W&B does not take the run (Run initialization has timed out") == 1
    wandb.finish()
    assert len(read_history(ended(tmp_path))) == 2
