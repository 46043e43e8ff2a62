"""What cannot fit is refused before it is loaded; a small model is not even looked at."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny import CONFIG

from pvchat import cli
from pvchat.lightning_cli import PVChatCLI
from pvchat.planning import memory_check


@pytest.fixture
def fit(tmp_path: Path, tiny_corpus: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """``fit(*args)``: exit status, up to where the model would be loaded (71)."""

    def load(_: PVChatCLI) -> None:
        raise SystemExit(71)

    monkeypatch.setattr(PVChatCLI, "instantiate_classes", load)

    def run(*args: str) -> int:
        try:
            return cli.main(
                ["fit", *CONFIG, f"--data.source.path={tiny_corpus}", f"--runs={tmp_path}", *args]
            )
        except SystemExit as end:
            return int(str(end.code))

    return run


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny model passes for one of many gigabytes."""
    monkeypatch.setattr(memory_check, "weights_on_disk", lambda _: 10**10)


def test_a_small_model_is_not_looked_at(fit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_check, "weightless_model", lambda _: pytest.fail("it was built"))
    monkeypatch.setattr(memory_check, "free_memory", lambda: 0)
    assert fit() == 71


@pytest.mark.usefixtures("large")
def test_weights_beyond_the_free_memory_are_refused(
    fit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(memory_check, "free_memory", lambda: 100_000)
    assert fit() == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert (
        "weights, gradients and optimizer must fit into memory: they take 0.0 GB, 0.0 GB are free. Take a"
        in line
    )
    assert not (tmp_path / "tiny").exists()
    assert fit("--check_memory=false") == 71
    monkeypatch.setattr(memory_check, "free_memory", lambda: 10**9)
    assert fit() == 71


@pytest.mark.usefixtures("large")
def test_a_gpu_is_held_against_the_plan(
    fit: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A step by the plan, activations included. The measure is the plan's own."""
    monkeypatch.setattr(memory_check, "_on_gpu", lambda _: True)
    costs: list[Any] = []
    simulated = memory_check._simulated
    monkeypatch.setattr(memory_check, "_simulated", lambda *args: costs.append(simulated(*args)) or costs[-1])
    sizes = iter([10**12])
    monkeypatch.setattr(memory_check, "gpu_memory", lambda: next(sizes))
    assert fit() == 71
    assert capsys.readouterr().err == ""
    needed = max(c.memory for c in costs[0]) + int(memory_check.RESERVED * 1e9)
    sizes = iter([needed - 1, needed + 1])
    assert fit() == 2
    assert "a step must fit into the GPU: by the plan it takes" in capsys.readouterr().err
    assert fit() == 71
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("large")
def test_what_is_trained_counts_four_times(fit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weight, gradient and two moments, of the stage that trains most."""
    models: list[Any] = []
    build = memory_check.weightless_model
    monkeypatch.setattr(memory_check, "weightless_model", lambda c: models.append(build(c)) or models[-1])
    sizes = iter([10**12])
    monkeypatch.setattr(memory_check, "free_memory", lambda: next(sizes))
    assert fit() == 71
    weights = sum(t.nbytes for t in (*models[0].parameters(), *models[0].buffers()))
    trained = sum(p.nbytes for group in models[0].chat.parameter_groups().values() for p in group)
    sizes = iter([weights + 3 * trained - 1, weights + 3 * trained])
    assert [fit(), fit()] == [2, 71]


@pytest.mark.usefixtures("large")
def test_a_sharded_model_is_not_held_against_one_gpu(fit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_check, "_on_gpu", lambda _: True)
    monkeypatch.setattr(memory_check, "gpu_memory", lambda: 0)
    assert fit("--trainer.strategy=fsdp") == 71
    assert fit() == 2


@pytest.mark.usefixtures("large")
def test_what_trains_nothing_has_no_step_to_fit(fit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_check, "_on_gpu", lambda _: True)
    monkeypatch.setattr(memory_check, "gpu_memory", lambda: 0)
    assert fit("--stages.image.epochs=0", "--stages.video.epochs=0") == 71


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("on_gpu", [False, True])
def test_a_4_bit_language_model_counts_as_such(
    fit: Any, on_gpu: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory_check, "_on_gpu", lambda _: on_gpu)
    monkeypatch.setattr(memory_check, "free_memory", lambda: 10**9)
    monkeypatch.setattr(memory_check, "gpu_memory", lambda: 10**10)
    build = memory_check.weightless_model

    def quantised(config: Any) -> Any:
        model = build(config)
        model.chat.language_model.quantization = "nf4"
        return model

    monkeypatch.setattr(memory_check, "in_four_bits", lambda _, cost: replace(cost, weights=10**11))
    assert fit() == 71
    monkeypatch.setattr(memory_check, "weightless_model", quantised)
    assert fit() == 2


def test_weights_are_counted_once_and_in_folders_alone(tmp_path: Path) -> None:
    from jsonargparse import Namespace

    (tmp_path / "language_model").mkdir()
    (tmp_path / "a.safetensors").write_bytes(b"0" * 100)
    (tmp_path / "language_model" / "b.safetensors").write_bytes(b"0" * 10)
    (tmp_path / "readme.md").write_bytes(b"0" * 1000)
    model = Namespace(source=str(tmp_path / "language_model"), name=str(tmp_path))
    config = Namespace(chat=Namespace(pretrained=tmp_path, language_model=model), source="embedded:x")
    assert memory_check.weights_on_disk(config) == 110
