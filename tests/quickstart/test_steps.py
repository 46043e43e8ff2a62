"""What ``--check`` changes: the size of the corpus, and nothing else."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from pvchat.commands import build_parser
from pvchat.quickstart import steps
from pvchat.quickstart.material import Material


@pytest.mark.parametrize("arguments", [[], ["--check"]])
def test_a_check_has_a_batch_of_clips(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}
    monkeypatch.setattr(steps, "build_corpus", lambda **given: asked.update(given))
    options = build_parser().parse_args(["quickstart", "--seed", "3", *arguments])
    steps._corpus(Material("tom", {}, {}, ""), tmp_path, options)
    train = asked["settings"].train
    clips = train.scenes * (1 + train.strangers)
    assert asked["seed"] == 3
    assert (clips == 4) == (arguments == ["--check"])  # 4: the batch of laptop.yaml


def test_a_check_asks_the_same_questions() -> None:
    sizes = ("train", "validation", "test")
    check, full = (
        {k: v for k, v in asdict(s).items() if k not in sizes} for s in (steps.CHECK, steps.SETTINGS)
    )
    assert check == full
