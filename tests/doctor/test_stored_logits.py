"""An imported checkpoint that is not what it was is noticed: by its tensors, and by what it says."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import ROOT
from tiny_checkpoint import make_checkpoint

from pvchat.cli import main
from pvchat.doctor import doctor_command, stored_logits
from pvchat.doctor.stored_logits import STORED, TOLERANCE, compare
from pvchat.errors import UserError

CONFIG = ("-c", str(ROOT / "experiments" / "pvchat.yaml"), "-c", str(ROOT / "tests" / "tiny_pvchat.yaml"))
LM = "model.chat.init_args.language_model.init_args"


@pytest.fixture
def imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(doctor_command, "CHECKS", {})
    folder = make_checkpoint(tmp_path)
    monkeypatch.setenv("PVCHAT_CHECKPOINT", str(folder))
    return folder


def flip(path: Path, name: str, bit: int) -> None:
    tensors = load_file(path)
    tensors[name].view(torch.int16).view(-1)[3] ^= 1 << bit
    save_file(tensors, path, metadata={"format": "pt"})


def test_stored_here_and_the_same_here(imported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In bf16, and in float32 as another device might round."""
    assert main(["doctor", *CONFIG]) == 0
    told = capsys.readouterr().out
    assert "checkpoint: 215 tensors as imported; no logits to compare with, --store keeps these" in told
    assert main(["doctor", "--store", *CONFIG]) == 0
    stored = load_file(imported / STORED)["logits"]
    assert stored.shape[1] == 264
    assert stored.std() > 0.1
    assert main(["doctor", *CONFIG]) == 0
    assert "checkpoint: 215 tensors as imported, logits 0.0% from the stored ones" in capsys.readouterr().out
    assert main(["doctor", *CONFIG, f"--{LM}.dtype=float32"]) == 0
    assert "from the stored ones" in capsys.readouterr().out


def test_one_bit_of_one_weight_is_noticed_and_named(
    imported: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last bit by its digest; where no digest looks, one of the exponent by what the checkpoint says."""
    assert main(["doctor", "--store", *CONFIG]) == 0
    name = "qformer.layers.0.cross_norm.norm.weight"
    flip(imported / "bridge.safetensors", name, 0)
    capsys.readouterr()
    assert main(["doctor", *CONFIG]) == 2
    told = capsys.readouterr().out
    assert f"FAILED  experiment   1 of 215 tensors in {imported} are not as imported: {name}. Copy" in told
    flip(imported / "bridge.safetensors", name, 0)
    flip(imported / "bridge.safetensors", name, 13)
    monkeypatch.setattr(stored_logits, "check_copy", lambda source: len(source.digests))
    assert main(["doctor", *CONFIG]) == 2
    assert "FAILED  experiment   the checkpoint must say here what it said" in capsys.readouterr().out


def test_what_cannot_be_compared_is_said(tmp_path: Path) -> None:
    logits, path = torch.randn(3, 7), tmp_path / STORED
    save_file({"logits": logits}, path)
    assert compare(logits, path) == 0.0
    noise = torch.randn(3, 7)
    noise *= logits.std() / noise.square().mean().sqrt()
    assert compare(logits + 0.5 * TOLERANCE * noise, path) == pytest.approx(0.5 * TOLERANCE, rel=1e-3)
    for wrong in (logits + 1.01 * TOLERANCE * noise, logits * torch.nan):
        with pytest.raises(UserError, match=r"they differ by .* of their spread, 10% are allowed"):
            compare(wrong, path)
    with pytest.raises(UserError, match=r"has logits \(3, 7\), this experiment \(2, 7\)"):
        compare(logits[:2], path)


def test_nothing_to_store(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(doctor_command, "CHECKS", {})
    assert main(["doctor", "--store"]) == 2
    assert "give it with -c FILE" in capsys.readouterr().err
    assert main(["doctor", "--store", "-c", str(ROOT / "experiments" / "debug.yaml")]) == 2
    assert "beside an imported checkpoint: this experiment has none" in capsys.readouterr().out
