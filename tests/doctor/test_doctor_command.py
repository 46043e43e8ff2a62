"""Every check is run and told, whatever broke before; the exit status says whether all is well."""

import pytest
import torch
from tiny import ROOT

from pvchat.cli import main
from pvchat.doctor import doctor_command


def broken() -> str:
    raise RuntimeError("libfoo.so\nis missing")


def test_all_is_well(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(doctor_command, "CHECKS", {"one": lambda: "fine", "two": lambda: "fine too"})
    assert main(["doctor"]) == 0
    assert capsys.readouterr().out.splitlines()[-3:] == [
        "ok      one          fine",
        "ok      two          fine too",
        "All is well.",
    ]


def test_what_fails_is_told_and_the_rest_still_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor_command, "CHECKS", {"one": broken, "two": lambda: "fine"})
    assert main(["doctor"]) == 2
    told = capsys.readouterr()
    assert "FAILED  one          RuntimeError: libfoo.so is missing" in told.out
    assert "ok      two          fine" in told.out
    assert "one failed" in told.err


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_no_gpu(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(doctor_command, "CHECKS", {})
    assert main(["doctor", "--gpu"]) == 2
    assert "FAILED  device       a GPU is needed" in capsys.readouterr().out


def test_a_mistyped_option_is_refused_before_any_check(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor_command, "CHECKS", {"one": lambda: "fine"})
    assert main(["doctor", "--gpuu"]) == 2
    told = capsys.readouterr()
    assert "beside an experiment (-c FILE): got --gpuu." in told.err
    assert told.out == ""


def test_an_experiment(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(doctor_command, "CHECKS", {})
    assert main(["doctor", "-c", str(ROOT / "experiments" / "debug.yaml")]) == 0
    assert "ok      experiment   image stage: loss" in capsys.readouterr().out
