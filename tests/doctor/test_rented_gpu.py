"""What is said of a device and of the first steps on it; the GPU's own numbers need one."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny import ROOT
from tiny_checkpoint import make_checkpoint

from pvchat.doctor import rented_gpu
from pvchat.doctor.rented_gpu import device_report, first_steps
from pvchat.errors import UserError
from pvchat.losses import HeadActivation

DEBUG = ["-c", str(ROOT / "experiments" / "debug.yaml")]


def test_a_few_steps_of_each_stage() -> None:
    image, video = first_steps(DEBUG, torch.device("cpu"), steps=2)
    assert image.startswith("image stage: loss ")
    assert video.startswith("video stage: loss ")
    assert "GB planned" in video


def test_a_4_bit_language_model_is_planned_in_4_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("bitsandbytes", reason="needs pip install 'pvchat[4bit]'")
    monkeypatch.setenv("PVCHAT_CHECKPOINT", str(make_checkpoint(tmp_path)))
    monkeypatch.setattr(rented_gpu, "in_four_bits", lambda model, cost: replace(cost, weights=7_000_000_000))
    files = ("experiments/pvchat.yaml", "experiments/pvchat/four_bit.yaml", "tests/tiny_pvchat.yaml")
    args = [word for file in files for word in ("-c", str(ROOT / file))]
    steps = [told for told in first_steps(args, torch.device("cpu"), steps=1) if " stage: " in told]
    assert len(steps) == 2
    assert all("7.00 GB planned" in told for told in steps)


def test_what_is_not_finite_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        HeadActivation,
        "forward",
        lambda self, routings: next(iter(routings.values())).logits.sum() * torch.nan,
    )
    with pytest.raises(UserError, match=r"image stage must stay finite: loss nan, \d+ gradients"):
        list(first_steps(DEBUG, torch.device("cpu"), steps=1))


def test_the_speed_of_a_device() -> None:
    assert "TFLOP/s in bf16" in device_report(torch.device("cpu"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu() -> None:
    with pytest.raises(UserError, match=r"a GPU is needed: torch .* sees none.* Check nvidia-smi"):
        device_report(torch.device("cuda"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_memory_on_a_gpu_is_as_planned() -> None:
    """Raises where it needs more than a tenth above the plan."""
    assert all("at the peak" in line for line in first_steps(DEBUG, torch.device("cuda")))
