"""``pvchat evaluate --forgetting`` through the command line: trained, changed by hand, not trained at all."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from tiny import CONFIG, ROOT, make_corpus

from pvchat import cli, lightning_cli
from pvchat.checkpoints import read_adapter, save_adapter
from pvchat.retention.general_questions import GENERAL_KNOWLEDGE
from pvchat.retention.retention_report import read
from pvchat.scoring.run_page import render_runs
from pvchat.scoring.scored_runs import scored_runs

RATES = ("token_rows", "qformer", "router", "lora", "encoder_late")


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path) -> Path:
    shutil.copytree(tiny_run, tmp_path / "run")
    return tmp_path / "run"


def ask(run: Path, *more: str) -> int:
    return cli.main(["evaluate", "--run", str(run), "--forgetting", *more])


def test_a_run_is_asked_before_and_after(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = {path.name for path in run.iterdir()}
    assert ask(run) == 0
    shown = capsys.readouterr().out
    assert {path.name for path in run.iterdir()} - kept == {"forgetting.json", "forgetting.md"}
    found = read(run)
    assert found is not None
    clips, text = found.groups
    assert (clips.units, text.questions) == (4, len(GENERAL_KNOWLEDGE))
    assert clips.numbers["kl"].after > 0
    assert not found.is_pretrained
    assert "the truth is not known, so that drift is all that is seen" in shown
    answers = json.loads((run / "forgetting.json").read_text())["answers"]
    assert len(answers) == clips.questions + text.questions
    page = render_runs("run", scored_runs(run))
    assert "What else does it still answer?" in page
    assert clips.heading in page


@pytest.mark.slow
def test_an_adapter_changed_by_hand_moves_further(run: Path) -> None:
    assert ask(run) == 0
    before = read(run)
    state, record = read_adapter(run / "adapter")
    about = {name: record[name] for name in ("subjects", "base_fingerprint")}
    torch.manual_seed(1)
    moved = {n: v + 0.3 * torch.randn_like(v) if "lora_" in n else v for n, v in state.items()}
    save_adapter(run / "adapter", moved, about)
    assert ask(run) == 0
    after = read(run)
    assert before is not None
    assert after is not None
    for old, new in zip(before.groups, after.groups, strict=True):
        assert new.numbers["kl"].after > old.numbers["kl"].after + 0.1


def test_a_training_that_moves_nothing_is_no_training(
    tiny_corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also: what a run began with is found again to the last bit, from its seed."""
    given = [f"--data.source.path={tiny_corpus}", f"--data.cache_dir={tiny_corpus.parent / 'cache'}"]
    still = [f"--model.learning_rates.{group}=0" for group in RATES]
    short = ["--stages.video.epochs=0", "--seed_everything=7"]
    fitted = lightning_cli.run(["fit", *CONFIG, *given, *still, *short, f"--run_dir={tmp_path / 'still'}"])
    assert ask(fitted.run_dir) == 0
    assert "Nothing was trained" in capsys.readouterr().out
    assert read(fitted.run_dir) is None


def test_clips_of_another_corpus(run: Path, tmp_path: Path) -> None:
    other = make_corpus(tmp_path / "other", ("eva",), clips={"test": 4}, seed=3)
    assert ask(run, "--data", str(other)) == 0
    (out,) = run.glob("evaluation-*")
    found = read(out)
    assert found is not None
    assert found.groups[0].units == 4  # eva is not tom
    assert read(run) is None


@pytest.mark.parametrize("baseline", ["majority", "base_model"])
def test_a_baseline_that_trains_nothing_says_so(
    baseline: str, tiny_corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    overlay = ROOT / "experiments" / "baselines" / f"{baseline}.yaml"
    given = [f"--data.source.path={tiny_corpus}", f"--data.cache_dir={tiny_corpus.parent / 'cache'}"]
    fitted = lightning_cli.run(["fit", *CONFIG, "-c", str(overlay), *given, f"--run_dir={tmp_path / 'b'}"])
    assert ask(fitted.run_dir) == 0
    assert "Nothing was trained" in capsys.readouterr().out


def test_bad_input_is_one_sentence(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    alone = make_corpus(tmp_path / "alone", clips={"test": 1})  # one clip, of tom
    assert ask(run, "--data", str(alone)) == 2
    assert "forgetting is seen on test clips without tom: got none" in capsys.readouterr().err
    shutil.rmtree(run / "adapter")
    assert ask(run) == 2
    assert "an adapter is a folder with" in capsys.readouterr().err
    assert cli.main(["evaluate", "--forgetting"]) == 2
    assert "give --run RUN, and no --answers" in capsys.readouterr().err
    assert ask(run, "--answers", "x") == 2
