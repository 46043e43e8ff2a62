"""An imported checkpoint that is not what it was is noticed: by its tensors, and by what it says."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import ROOT, make_chat
from tiny_checkpoint import make_checkpoint

from pvchat.cli import main
from pvchat.doctor import doctor_command
from pvchat.doctor.rented_gpu import BuildingCLI
from pvchat.doctor.stored_logits import STORED, TOLERANCE, checkpoint_report, compare, probe
from pvchat.errors import UserError
from pvchat.lightning_cli import run
from pvchat.modules.published.shards import read_file
from pvchat.modules.video_chat import VideoChat

CONFIG = ("-c", str(ROOT / "experiments" / "pvchat.yaml"), "-c", str(ROOT / "tests" / "tiny_pvchat.yaml"))
NORM = "qformer.layers.0.cross_norm.norm.weight"


@pytest.fixture
def imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = make_checkpoint(tmp_path)
    monkeypatch.setenv("PVCHAT_CHECKPOINT", str(folder))
    return folder


def build(*more: str) -> VideoChat:
    chat: VideoChat = run(["fit", *CONFIG, "--model.subjects=[tom]", *more], BuildingCLI).model.chat
    return chat


def flip(folder: Path, bit: int) -> None:
    """One bit of one weight, in place."""
    path = folder / "bridge.safetensors"
    content = bytearray(path.read_bytes())
    content[read_file(path)[NORM].start + bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def test_what_is_stored_is_found_again(imported: Path) -> None:
    """Exactly on this machine; and with another rounding, as on another one, within the tolerance."""
    chat = build()
    start = "checkpoint: 215 tensors as imported"
    assert (
        checkpoint_report(chat, 4, store=False) == f"{start}; no logits to compare with, --store keeps these"
    )
    assert checkpoint_report(chat, 4, store=True) == f"{start}, logits stored in {imported / STORED}"
    stored = load_file(imported / STORED)["logits"]
    assert stored.shape[1] == 264
    assert stored.std() > 0.1
    assert checkpoint_report(chat, 4, store=False) == f"{start}, logits 0.0% from the stored ones"
    exact = build("--model.chat.init_args.language_model.init_args.dtype=float32")
    assert 0 < compare(probe(exact, 4), imported / STORED) < TOLERANCE / 2


def test_one_bit_of_one_weight_is_noticed(imported: Path) -> None:
    """The last one by its digest; one of the exponent also by what the checkpoint says."""
    chat = build()
    checkpoint_report(chat, 4, store=True)
    flip(imported, 0)
    with pytest.raises(UserError, match=rf"1 of 215 tensors in .* are not as imported: {NORM}\. Copy"):
        checkpoint_report(chat, 4, store=False)
    flip(imported, 0)
    flip(imported, 13)
    with pytest.raises(UserError, match="must say here what it said when its logits were stored"):
        compare(probe(build(), 4), imported / STORED)


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


def test_nothing_to_store(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--store"]) == 2
    assert "give it with -c FILE" in capsys.readouterr().err
    assert checkpoint_report(make_chat(), 4, store=False) is None
    with pytest.raises(UserError, match="beside an imported checkpoint: this experiment has none"):
        checkpoint_report(make_chat(), 4, store=True)


@pytest.mark.slow
def test_the_command(
    imported: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor_command, "CHECKS", {})
    assert main(["doctor", "--store", *CONFIG]) == 0
    assert (
        "ok      experiment   checkpoint: 215 tensors as imported, logits stored" in capsys.readouterr().out
    )
    assert main(["doctor", *CONFIG]) == 0
    assert "logits 0.0% from the stored ones" in capsys.readouterr().out
    flip(imported, 13)
    assert main(["doctor", *CONFIG]) == 2
    assert f"FAILED  experiment   1 of 215 tensors in {imported} are not as" in capsys.readouterr().out
