"""Face retrieval: right about held-out clips, chance where no face is shown, in the corpus' own sentences."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import make_batch, make_chat, make_corpus

from pvchat.baselines import FaceRetrieval
from pvchat.baselines.face_gallery import NOBODY
from pvchat.batch import Batch, Example, Features, TrainingClip
from pvchat.errors import UserError
from pvchat.faces import SAME_PERSON
from pvchat.metrics.functional.presence import parse_presence

TOM, ANN, STRANGER = torch.eye(128)[:3] * 0.5
RED, BLUE = torch.eye(4)[:2]


def features(face: torch.Tensor | None, look: torch.Tensor = RED) -> Features:
    """Two frames, of which the first shows a face."""
    faces = torch.zeros(2, 1, 128)
    if face is not None:
        faces[0, 0] = face
    return {
        "identity": faces,
        "identity.mask": faces.any(-1).any(-1),
        "global": look.expand(2, 3, -1),
        "global.mask": torch.ones(2, dtype=torch.bool),
    }


def clip(who: str | None, face: torch.Tensor, look: torch.Tensor, wears: str, **more: Any) -> TrainingClip:
    presence = {name: name == who for name in ("tom", "ann")}
    examples = []
    for name, there in presence.items():
        yes = f"Yes, <{name}> is here." if there else f"No, <{name}> is not here."
        polarity: Any = "yes" if there else "no"
        open_ = f"<{name}> wears {wears}." if there else f"I cannot see <{name}>."
        for kind, answer, truth in (("existence", yes, polarity), ("appearance", open_, None)):
            named: Any = kind
            examples.append(Example("", "", "?", answer, named, truth, (name,), presence, "real"))
    return TrainingClip(str(who), features(face, look), examples, presence, more.get("is_reference", False))


CLIPS = [
    clip("tom", TOM, RED, "red"),
    clip("tom", TOM, BLUE, "blue"),
    clip("ann", ANN, BLUE, "black"),
    clip(None, STRANGER, RED, "white"),
]


def show(batch: Batch, *shown: Features) -> Batch:
    views = {n: torch.stack([f[n] for f in shown]) for n in ("identity", "global")}
    masks = {n: torch.stack([f[f"{n}.mask"] for f in shown]) for n in views}
    return Batch(batch.examples, views, masks, batch.person_mask)


def studied(clips: list[TrainingClip] = CLIPS) -> FaceRetrieval:
    retrieval = FaceRetrieval()
    retrieval.study(clips)
    return retrieval


def test_scores_are_the_distance_to_the_nearest_reference() -> None:
    batch = make_batch(make_chat(("tom", "ann")), *["Is <tom> here?"] * 3)
    scores = studied().presence_scores(show(batch, features(TOM), features(ANN), features(None)))
    apart = torch.linalg.vector_norm(TOM - ANN).item()
    expected = [SAME_PERSON, SAME_PERSON - apart, SAME_PERSON - NOBODY]
    assert scores.tolist() == pytest.approx(expected, abs=1e-6)


def test_who_is_there_gets_the_answer_of_the_clip_that_looks_alike() -> None:
    """And who is absent is refused as the corpus does it; nothing is said of a clip by its text alone."""
    questions = ("What is <tom> wearing?", "What is <tom> wearing?", "What is <ann> wearing?")
    batch = make_batch(make_chat(("tom", "ann")), *questions, types=["appearance"] * 3)
    shown = show(batch, features(TOM, BLUE * 0.9 + RED * 0.1), features(TOM, RED), features(TOM))
    assert studied().answer(shown) == ["<tom> wears blue.", "<tom> wears red.", "I cannot see <ann>."]
    assert studied().answer(shown, control="text_only")[0] == "I cannot see <tom>."


def test_the_reference_split_is_the_reference() -> None:
    """Here it says that tom looks like ann; without one, training clips do."""
    mistaken = [*CLIPS, clip("tom", ANN, RED, "red", is_reference=True)]
    batch = make_batch(make_chat(("tom", "ann")), "Is <tom> here?")
    of_tom, of_ann = show(batch, features(TOM)), show(batch, features(ANN))
    assert studied().presence_scores(of_ann).item() < 0 < studied().presence_scores(of_tom).item()
    assert studied(mistaken).presence_scores(of_tom).item() < 0
    assert studied(mistaken).presence_scores(of_ann).item() > 0


def test_of_two_each_is_answered() -> None:
    batch = make_batch(make_chat(("tom", "ann")), "Are <tom> and <ann> here?")
    (answer,) = studied().answer(show(batch, features(ANN)))
    assert parse_presence(answer, ("tom", "ann")) == {"tom": False, "ann": True}


def test_what_cannot_be_compared_is_refused() -> None:
    blind = [
        TrainingClip(c.id, {"global": c.features["global"]}, c.examples, c.presence, False) for c in CLIPS
    ]
    with pytest.raises(UserError, match="compared by the identity view: got"):
        studied(blind)
    with pytest.raises(UserError, match="a reference of 'tom' is needed"):
        studied(CLIPS[2:])
    faceless = [TrainingClip(c.id, features(None), c.examples, c.presence, False) for c in CLIPS]
    with pytest.raises(UserError, match="a reference shows a face"):
        studied(faceless)


def test_held_out_clips_are_right_and_controls_are_chance(tested: Callable[..., Any], tmp_path: Path) -> None:
    corpus = make_corpus(tmp_path / "two", ("tom", "ann"))
    found = tested("face_retrieval", corpus=corpus)
    metrics, predictions = found.metrics, found.predictions
    assert metrics["test/main/presence_auc"] == 1
    assert metrics["test/main/calibrated_balanced_accuracy"] == 1
    assert metrics["test/main/presence_balanced_accuracy"] == 1
    assert metrics["test/main/presence_accuracy_no_beside_another"] == 1
    for control in ("text_only", "face_blanked"):
        assert metrics[f"test/{control}/presence_auc"] == 0.5
        assert metrics[f"test/{control}/presence_balanced_accuracy"] == 0.5
    assert metrics["test/main/presence_unparsed"] == 0
    assert {p["control"] for p in predictions} == {"main", "text_only", "face_blanked"}
