"""TensorBoard's files go on with a run, and forget what a killed training had done beyond its checkpoint."""

from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from pvchat.loggers.event_log import EventLog
from pvchat.loggers.media import show_text


def logged(folder: Path, name: str) -> list[tuple[int, float]]:
    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    return [(event.step, event.value) for event in events.Scalars(name)]


def write(folder: Path, name: str, values: dict[int, float]) -> None:
    log = EventLog(folder)
    for step, value in values.items():
        log.log_metrics({name: value}, step=step)
    log.finalize("success")


def test_a_resumed_run_continues_from_its_step(tmp_path: Path) -> None:
    write(tmp_path, "train/loss", {0: 0.0, 1: 1.0, 2: 2.0, 3: 3.0})
    write(tmp_path, "train/loss", {2: 9.0})
    assert logged(tmp_path, "train/loss") == [(0, 0.0), (1, 1.0), (2, 9.0)]


def test_a_remark_before_the_first_number_stays(tmp_path: Path) -> None:
    """That of the stage a training is resumed in. TensorBoard takes back no text."""
    for steps in ((0, 2), (1,)):
        log = EventLog(tmp_path)
        for step in steps:
            show_text([log], "train/stage", f"{step}", step=step)
            log.log_metrics({"train/loss": 1.0}, step=step)
        log.finalize("success")
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Tensors("train/stage/text_summary")] == [0, 2, 1]
    assert [event.step for event in events.Scalars("train/loss")] == [0, 1]


def test_a_test_takes_nothing_back(tmp_path: Path) -> None:
    write(tmp_path, "train/loss", {0: 0.0, 1: 1.0})
    write(tmp_path, "test/main/presence_auc", {0: 0.5})
    assert logged(tmp_path, "train/loss") == [(0, 0.0), (1, 1.0)]
    assert logged(tmp_path, "test/main/presence_auc") == [(0, 0.5)]
    assert {path.name for path in tmp_path.iterdir()} == {"tensorboard"}


def test_nothing_logged_leaves_nothing(tmp_path: Path) -> None:
    """Not even where Lightning asks for the writer, of a run that is then refused."""
    log = EventLog(tmp_path)
    assert log.experiment is log.experiment
    log.save()
    log.finalize("success")
    assert list(tmp_path.iterdir()) == []
