"""The majority answer: counted by type, said of whoever is asked about, and chance in every metric."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny import make_batch, make_chat

from pvchat.baselines import MajorityAnswer
from pvchat.batch import Example, TrainingClip
from pvchat.datamodules.manifest import read_manifest


def asked(kind: Any, *answers: str, subjects: tuple[str, ...] = ("tom",)) -> TrainingClip:
    examples = [
        Example(f"clip#{n}", "clip", "?", answer, kind, None, subjects, {}, "real")
        for n, answer in enumerate(answers)
    ]
    return TrainingClip("clip", {}, examples, {"tom": True, "ann": False}, False)


def test_the_most_frequent_answer_of_the_type_is_said_of_who_is_asked_about() -> None:
    majority = MajorityAnswer()
    majority.study(
        [
            asked("existence", "No, <tom> is not here.", "Yes, <tom> is here."),
            asked("existence", "No, <ann> is not here.", subjects=("ann",)),
            asked("location", "<tom> is inside."),
        ]
    )
    chat = make_chat(("tom", "ann"))
    kinds = ["existence", "location", "action"]
    batch = make_batch(chat, "Is <ann> here?", "Where is <ann>?", "What does <ann> do?", types=kinds)
    no = "No, <ann> is not here."
    assert majority.answer(batch) == [no, "<ann> is inside.", no]
    assert majority.presence_scores(batch).tolist() == [0, 0, 0]


def test_it_is_chance_through_the_command_line(tested: Callable[..., Any], tiny_corpus: Path) -> None:
    """Also a hand count: what it says most often is what the training manifest says most often."""
    found = tested("majority")
    metrics, predictions = found.metrics, found.predictions
    for control in ("main", "text_only", "face_blanked"):
        assert metrics[f"test/{control}/presence_balanced_accuracy"] == 0.5
        assert metrics[f"test/{control}/presence_auc"] == 0.5
    train = [r for r in read_manifest(tiny_corpus) if r.split == "train"]
    said = {p["type"]: p["answer"] for p in predictions}
    for kind in ("existence", "appearance", "location"):
        counts = Counter(qa.answer for r in train for qa in r.qa if qa.type == kind)
        assert counts[said[kind]] == max(counts.values())
        assert len({p["answer"] for p in predictions if p["type"] == kind}) == 1
    shown = [p for p in predictions if p["type"] == "appearance" and p["control"] == "main"]
    right = sum(p["answer"] == p["reference"] for p in shown) / len(shown)
    assert metrics["test/main/appearance_exact"] == pytest.approx(right)
