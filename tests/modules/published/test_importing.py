"""The commands, on a tiny checkpoint that takes the place of the published one."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from pvchat import cli
from pvchat.modules.published import importing
from pvchat.modules.published.checkpoint_folders import open_checkpoint
from pvchat.modules.published.key_table import NAME, PublishedSizes


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch, sizes: PublishedSizes) -> None:
    monkeypatch.setitem(importing.CHECKPOINTS, NAME, sizes)


def test_checks(published: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["import-checkpoint", NAME, str(published)]) == 0
    shown = capsys.readouterr().out
    assert [line.split()[0] for line in shown.splitlines()] == [
        *("encoder", "bridge", "language_model", "lora", "unused", "in", "The")
    ]
    assert "The checkpoint is whole." in shown


def test_converts_and_writes_back(
    published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    imported, out = tmp_path / "imported", tmp_path / "out"
    assert cli.main(["import-checkpoint", NAME, str(published), "--out", str(imported)]) == 0
    assert "has no tokenizer" in capsys.readouterr().out
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    trained = {"chat.project_up.bias": torch.full((16,), 3.0), "chat.presence_head.bias": torch.ones(1)}
    save_file(trained, adapter / "adapter.safetensors")
    command = ["export-checkpoint", NAME, str(imported), "--adapter", str(adapter), "--out", str(out)]
    assert cli.main(command) == 0
    shown = capsys.readouterr().out
    assert "1 trained tensors in their places" in shown
    assert "1 have none there and are in pvchat_extra.safetensors: presence_head.bias." in shown
    assert torch.equal(
        open_checkpoint(out, sizes=open_checkpoint(imported).sizes).read("project_up.bias"),
        torch.full((16,), 3.0).bfloat16(),
    )


def test_refusals(published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["import-checkpoint", "gpt", str(published)]) == 2
    assert f"no checkpoint is called 'gpt'; known: ['{NAME}']" in capsys.readouterr().err
    next(published.glob("*00001*")).unlink()
    assert cli.main(["import-checkpoint", NAME, str(published), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("pvchat: error: 1 of 3 shards are missing")
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["import-checkpoint", "export-checkpoint"])
def test_help_is_light(command: str) -> None:
    code = (
        f"import sys\nfrom pvchat import cli\ntry:\n    cli.main([{command!r}, '--help'])\n"
        "except SystemExit:\n    sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "internvideo2-chat-8b-hd" in done.stdout
