"""Every experiment states its question and command, resolves, and trains a step at tiny size."""

import json
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from tiny import LAPTOP, ROOT, TINY

from pvchat import lightning_cli
from pvchat.lightning_cli import PVChatCLI

EXPERIMENTS = sorted((ROOT / "experiments").rglob("*.yaml"))
every_experiment = pytest.mark.parametrize(
    "path", EXPERIMENTS, ids=lambda p: p.relative_to(ROOT / "experiments").as_posix()
)


def comment(path: Path) -> list[str]:
    """Lines of the comment on top, without ``#``."""
    lines = path.read_text(encoding="utf-8").splitlines()
    end = next((n for n, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return [line.removeprefix("#").strip() for line in lines[:end]]


def is_overlay(path: Path) -> bool:
    chat = yaml.safe_load(path.read_text(encoding="utf-8")).get("model", {}).get("chat", {})
    return "class_path" not in chat


def configs(path: Path) -> list[str]:
    """An overlay changes the laptop experiment."""
    files = [LAPTOP, str(path)] if is_overlay(path) else [str(path)]
    return [f"--config={file}" for file in files]


@every_experiment
def test_it_states_its_question_and_command(path: Path) -> None:
    lines = comment(path)
    assert lines, f"{path.name} needs a comment: the question, the command, what it costs, what is expected."
    assert "?" in lines[0]
    commands = [line for line in lines if line.startswith(("pvchat ", "python "))]
    assert commands
    for command in commands:
        words = shlex.split(command)
        files = [ROOT / word for word in words if word.endswith((".yaml", ".py"))]
        assert all(file.is_file() for file in files)
        if words[0] == "pvchat":
            assert path in files


@every_experiment
def test_overlays_are_small(path: Path) -> None:
    if is_overlay(path):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 40


@every_experiment
def test_it_trains_a_step(path: Path, tiny_corpus: Path, tmp_path: Path) -> None:
    """Parsed, resolved, built with random parts in place of the heavy ones, fitted with fast_dev_run; what
    the experiment is about is still there."""
    cli = lightning_cli.run(
        [
            "fit",
            *configs(path),
            f"--config={TINY}",
            "--data.source=pvchat.datamodules.sources.ManifestSource",
            f"--data.source.path={tiny_corpus}",
            f"--data.cache_dir={tiny_corpus.parent / 'cache'}",
            f"--runs={tmp_path}",
            "--trainer.fast_dev_run=true",
        ]
    )
    assert cli.trainer.global_step == 1
    assert cli.trainer.state.finished
    attention = {type(layer.self_attention).__name__ for layer in cli.model.chat.qformer.layers}
    expected = {"dense.yaml": "DenseAttention", "moh.yaml": "MoHAttention"}.get(path.name, "ReMoHAttention")
    assert attention == {expected}
    assert (cli.run_dir / "adapter").is_dir()
    assert not (cli.run_dir / "checkpoints").exists()


@every_experiment
def test_it_resolves_as_it_stands(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the tiny overlay, in the size that is meant; nothing is built."""

    class StopError(Exception):
        pass

    def stop(self: PVChatCLI) -> None:
        raise StopError(self.config[self.subcommand])

    monkeypatch.setattr(PVChatCLI, "before_instantiate_classes", stop)
    monkeypatch.chdir(ROOT)
    with pytest.raises(StopError) as found:
        lightning_cli.run(["fit", *configs(path)])
    config: Any = found.value.args[0]
    given = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert config.name == given.get("name", "laptop")
    assert config.stages.image.epochs + config.stages.video.epochs >= 2


@pytest.mark.slow
def test_debug_takes_less_than_a_minute(tmp_path: Path, private_cache: Path) -> None:
    """The whole of it, in a process of its own and with nothing cached: imports, corpus, training, test."""
    command = [sys.executable, "-m", "pvchat.cli"]
    started = time.monotonic()
    subprocess.run([*command, "fit", "-c", ROOT / "experiments" / "debug.yaml"], check=True, cwd=tmp_path)
    assert time.monotonic() - started < 60
    subprocess.run([*command, "test", "--run", "runs/debug"], check=True, cwd=tmp_path)
    (metrics,) = tmp_path.glob("runs/debug/*/metrics.json")
    assert 0.0 <= json.loads(metrics.read_text())["test/main/presence_auc"] <= 1.0
