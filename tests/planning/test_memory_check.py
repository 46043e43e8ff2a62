"""What cannot fit is refused before it is loaded; a small model is not even looked at."""

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
    assert "weights must fit into memory: they take 0.0 GB, 0.0 GB are free. Take a smaller model" in line
    assert not (tmp_path / "tiny").exists()
    assert fit("--check_memory=false") == 71
    monkeypatch.setattr(memory_check, "free_memory", lambda: 10**9)
    assert fit() == 71


@pytest.mark.usefixtures("large")
def test_a_gpu_is_held_against_the_plan(
    fit: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is held for sure refuses; the plan of activations warns. The measure is the plan's own."""
    monkeypatch.setattr(memory_check, "_on_gpu", lambda _: True)
    costs: list[Any] = []
    simulated = memory_check._simulated
    monkeypatch.setattr(memory_check, "_simulated", lambda *args: costs.append(simulated(*args)) or costs[-1])
    sizes = iter([10**12, 0, 0])
    monkeypatch.setattr(memory_check, "gpu_memory", lambda: next(sizes))
    assert fit() == 71
    assert capsys.readouterr().err == ""
    reserved = int(memory_check.RESERVED * 1e9)
    held = max(c.weights + c.gradients + c.optimizer for c in costs[0]) + reserved
    needed = max(c.memory for c in costs[0]) + reserved
    assert held < needed - 10_000
    sizes = iter([held - 1, held + 1, needed + 1])
    assert fit() == 2
    assert "weights, gradients and optimizer must fit into the GPU" in capsys.readouterr().err
    assert fit() == 71
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "by the plan, the GPU has" in line
    assert fit() == 71
    assert capsys.readouterr().err == ""


def test_weights_are_counted_once_and_in_folders_alone(tmp_path: Path) -> None:
    from jsonargparse import Namespace

    (tmp_path / "language_model").mkdir()
    (tmp_path / "a.safetensors").write_bytes(b"0" * 100)
    (tmp_path / "language_model" / "b.safetensors").write_bytes(b"0" * 10)
    (tmp_path / "readme.md").write_bytes(b"0" * 1000)
    model = Namespace(source=str(tmp_path / "language_model"), name=str(tmp_path))
    config = Namespace(chat=Namespace(pretrained=tmp_path, language_model=model), source="embedded:x")
    assert memory_check.weights_on_disk(config) == 110
