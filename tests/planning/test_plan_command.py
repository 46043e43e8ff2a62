"""``pvchat plan`` on experiments: known numbers of the paper's model, nothing written, clear refusals."""

import re
from pathlib import Path

import pytest
from tiny import ROOT, make_corpus
from tiny_checkpoint import make_checkpoint

from pvchat.cli import main

DEBUG, PAPER, FOUR_BIT = (
    str(ROOT / "experiments" / name) for name in ("debug.yaml", "pvchat.yaml", "pvchat/four_bit.yaml")
)


def test_a_plan_needs_neither_corpus_nor_checkpoint_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    small = ["--model.chat.init_args.language_model.init_args.num_layers", "3"]
    assert main(["plan", "-c", DEBUG, "--device", "l4", *small]) == 0
    told = capsys.readouterr().out
    assert "32-true" in told
    assert "NVIDIA L4: 24 GB" in told
    assert "fits" in told
    assert not list(tmp_path.iterdir())


def test_hours_follow_from_the_corpus(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Batches of one stage and of the other, as the datamodule would make them."""
    corpus = make_corpus(tmp_path)
    source = "pvchat.datamodules.sources.ManifestSource"
    args = [f"--data.source={source}", f"--data.source.init_args.path={corpus}", "--data.batch_size=1000"]
    epochs = ["--stages.image.epochs=2", "--stages.video.epochs=3"]
    assert main(["plan", "-c", DEBUG, *args, *epochs, "--device=h100"]) == 0
    assert "2 + 3 steps, by the corpus:" in capsys.readouterr().out


def test_hours_without_a_corpus_are_of_so_many_questions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PVCHAT_DATA", str(tmp_path / "none.jsonl"))
    source = "--data.source=pvchat.datamodules.sources.ManifestSource"
    args = [source, f"--data.source.init_args.path={tmp_path / 'none.jsonl'}", "--data.batch_size=4"]
    epochs = ["--stages.image.epochs=1", "--stages.video.epochs=3"]
    assert main(["plan", "-c", DEBUG, *args, *epochs, "--device=h100", "--questions=9"]) == 0
    assert "3 + 9 steps, by 9 questions an epoch (--questions; no corpus yet):" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--device", "abacus"], "invalid choice: 'abacus'"),
        (["-c", DEBUG, "--model.warmup_stepz=3"], "warmup_stepz"),
        (["-c", DEBUG, "--share", "0"], "--share must be in (0, 1]: got 0.0"),
        (["-c", DEBUG, "--persons", "0"], "--persons must be >= 1: got 0"),
        (["-c", DEBUG, "--questions", "0"], "--questions must be >= 1: got 0"),
        ([], "plan needs a config: got none"),
    ],
)
def test_refusals(args: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        status = main(["plan", *args])
    except SystemExit as end:
        status = int(str(end.code))
    assert status == 2
    assert said in capsys.readouterr().err


def test_a_4_bit_language_model_is_planned_as_configured_and_beside_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without bitsandbytes, and with as many parameters."""
    monkeypatch.setenv("PVCHAT_CHECKPOINT", str(make_checkpoint(tmp_path)))
    small = ["-c", str(ROOT / "tests" / "tiny_pvchat.yaml")]
    assert main(["plan", "-c", PAPER, *small]) == 0
    whole = capsys.readouterr().out
    monkeypatch.setattr("pvchat.modules.four_bit.is_bitsandbytes_available", lambda: False)
    assert main(["plan", "-c", PAPER, "-c", FOUR_BIT, *small]) == 0
    packed = capsys.readouterr().out
    setting = "checkpointing, 4-bit language model"
    assert f"video, {setting} (as configured)" in packed
    assert "video, checkpointing (as configured)" in whole
    assert "image, no checkpointing " in packed
    lines = [
        next(line for line in told.splitlines() if "language model  " in line) for told in (whole, packed)
    ]
    assert lines[0] == lines[1]


def test_more_persons_have_more_rows_and_queries(capsys: pytest.CaptureFixture[str]) -> None:
    found = []
    for persons in (1, 3):
        assert main(["plan", "-c", DEBUG, f"--persons={persons}"]) == 0
        told = capsys.readouterr().out
        (count,) = re.findall(r"^token rows, personal queries +([\d,]+)$", told, flags=re.M)
        found.append(int(count.replace(",", "")))
    assert found[1] == 3 * found[0]


@pytest.mark.slow
def test_the_papers_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Parameters as published; exports within what was asked for: 470 MB and 51 MB a late block."""
    monkeypatch.chdir(tmp_path)
    assert main(["plan", "-c", PAPER, "--device", "l20"]) == 0
    told = capsys.readouterr().out
    counts = {
        name.strip(): int(count.replace(",", ""))
        for name, count in re.findall(r"^(\S.*?) {2,}([\d,]{6,})$", told, flags=re.M)
    }
    assert counts["routers"] == 41_508
    assert counts["LoRA"] == 42_532_864
    assert counts["language model"] == 7_248_023_552
    (exported,) = re.findall(r"adapter (\d+) MB when exported", told)
    assert int(exported) <= 470 + 20 * 51
    assert "NVIDIA L20: 48 GB" in told
    assert not list(tmp_path.iterdir())
