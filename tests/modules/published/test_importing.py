"""The commands, on a tiny checkpoint that takes the place of the published one."""

import json
import subprocess
import sys
import time
from itertools import accumulate
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from pvchat import cli
from pvchat.modules.published import importing
from pvchat.modules.published.checkpoint_folders import open_checkpoint
from pvchat.modules.published.digests import base_digest
from pvchat.modules.published.key_table import NAME, PublishedSizes, key_table


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, sizes: PublishedSizes) -> None:
    monkeypatch.setitem(importing.CHECKPOINTS, NAME, sizes)


@pytest.mark.usefixtures("small")
def test_checks(published: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["import-checkpoint", NAME, str(published)]) == 0
    shown = capsys.readouterr().out
    assert [line.split()[0] for line in shown.splitlines()] == [
        *("encoder", "bridge", "language_model", "lora", "unused", "in", "The")
    ]
    assert "The checkpoint is whole." in shown


@pytest.mark.usefixtures("small")
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
    (adapter / "adapter.json").write_text("{}")
    command = ["export-checkpoint", NAME, str(imported), "--adapter", str(adapter), "--out", str(out)]
    assert cli.main(command) == 0
    shown = capsys.readouterr().out
    assert "1 trained tensors in their places" in shown
    assert "1 have none there and are in pvchat_extra.safetensors: presence_head.bias." in shown
    assert torch.equal(
        open_checkpoint(out, sizes=open_checkpoint(imported).sizes).read("project_up.bias"),
        torch.full((16,), 3.0).bfloat16(),
    )


@pytest.mark.usefixtures("small")
def test_refusals(published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["import-checkpoint", "gpt", str(published)]) == 2
    assert f"no checkpoint is called 'gpt'; known: ['{NAME}']" in capsys.readouterr().err
    next(published.glob("*00001*")).unlink()
    assert cli.main(["import-checkpoint", NAME, str(published), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("pvchat: error: 1 of 3 shards are missing")
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("small")
def test_a_run_is_exported_onto_what_it_started_from(
    published: Path, tmp_path: Path, sizes: PublishedSizes, capsys: pytest.CaptureFixture[str]
) -> None:
    """Imported or as published; other weights of the same shapes are refused before anything is written."""
    imported, adapter = tmp_path / "imported", tmp_path / "adapter"
    assert cli.main(["import-checkpoint", NAME, str(published), "--out", str(imported)]) == 0
    recorded = base_digest(open_checkpoint(imported).digests, {"project_up.bias"})
    adapter.mkdir()
    save_file({"chat.project_up.bias": torch.ones(16)}, adapter / "adapter.safetensors")
    (adapter / "adapter.json").write_text(json.dumps({"checkpoint": recorded}))

    def export(checkpoint: Path, name: str, folder: Path = adapter) -> int:
        out = str(tmp_path / name)
        return cli.main(["export-checkpoint", NAME, str(checkpoint), "--adapter", str(folder), "--out", out])

    assert export(imported, "one") == export(published, "two") == 0
    assert export(tmp_path / "one", "three") == 0  # differs in what is replaced alone
    path = next(published.glob("*00002*"))
    tensors = load_file(path)
    name = next(n for n in tensors if n.startswith("vision_encoder.") and n.endswith("qkv.weight"))
    tensors[name].view(torch.int16)[0, 0] ^= 1  # the last bit of one weight
    save_file(tensors, path)
    capsys.readouterr()
    assert export(published, "four") == 2
    assert "exported onto the checkpoint it started from: " in (told := capsys.readouterr().err)
    assert len(told.splitlines()) == 1
    assert not (tmp_path / "four").exists()
    assert export(published, "four", tmp_path) == 2
    assert "an adapter is a folder with adapter.safetensors and adapter.json" in capsys.readouterr().err


@pytest.fixture
def full_size(tmp_path: Path) -> Path:
    """All names, shapes and 16.9 GB of the published files, but for a hole where the numbers would be."""
    folder = tmp_path / "full"
    folder.mkdir()
    table = key_table()
    places = {}
    for number in range(4):
        name = f"model-{number + 1:05}-of-00004.safetensors"
        shard = sorted(table[number::4], key=lambda key: not key.is_positions)
        stops = list(accumulate(key.num_bytes for key in shard))
        header = {
            key.published: {
                "dtype": "I64" if key.is_positions else "BF16",
                "shape": key.shape,
                "data_offsets": [stop - key.num_bytes, stop],
            }
            for key, stop in zip(shard, stops, strict=True)
        }
        text = json.dumps(header).encode()
        with (folder / name).open("wb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            start = file.tell()
            if shard[0].is_positions:
                file.write(torch.arange(512).numpy().tobytes())
            file.truncate(start + stops[-1])
        places |= dict.fromkeys(header, name)
    index = {"metadata": {"total_size": 16_942_742_016}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def test_full_size_is_checked_at_once(full_size: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And nothing of it is read but the headers."""
    started = time.monotonic()
    assert cli.main(["import-checkpoint", NAME, str(full_size)]) == 0
    assert time.monotonic() - started < 10
    shown = capsys.readouterr().out
    assert "in all           1,590 tensors, 16,942,742,016 bytes" in shown
    assert "988,782,336 parameters" in shown
    assert "42,532,864 parameters" in shown
    shard = full_size / "model-00003-of-00004.safetensors"
    with shard.open("r+b") as file:
        file.truncate(shard.stat().st_size - 4096)
    assert cli.main(["import-checkpoint", NAME, str(full_size)]) == 2
    assert "model-00003-of-00004.safetensors is truncated or damaged" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["import-checkpoint", "export-checkpoint"])
def test_help_is_light(command: str) -> None:
    code = (
        f"import sys\nfrom pvchat import cli\ntry:\n    cli.main([{command!r}, '--help'])\n"
        "except SystemExit:\n    sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "internvideo2-chat-8b-hd" in done.stdout
