"""A concept embedding is shown where the head recognises who is asked about, and alone is trained."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from tiny import make_batch, make_chat

from pvchat.baselines import ConceptHead
from pvchat.batch import Batch, TrainingClip
from pvchat.modules.video_chat import VideoChat

TOM, ANN = torch.eye(128)[:2]
NEAR = torch.zeros(128)
NEAR[5] = 0.3


def clip(name: str, face: torch.Tensor) -> TrainingClip:
    mask = torch.ones(1, dtype=torch.bool)
    features = {"identity": face.expand(1, 1, -1), "identity.mask": mask}
    return TrainingClip(name, features, [], {"tom": name == "tom", "ann": name == "ann"}, True)


def concept_chat() -> VideoChat:
    return make_chat(
        ("tom", "ann"), introduction=ConceptHead(), num_soft_tokens=2, num_personal_query_tokens=0
    )


@pytest.fixture
def chat() -> VideoChat:
    chat = concept_chat().eval()
    chat.study([clip("tom", TOM), clip("ann", ANN)])
    return chat


def batch_of(chat: VideoChat, *pairs: tuple[str, torch.Tensor]) -> Batch:
    batch = make_batch(chat, *(question for question, _ in pairs))
    for row, (_, face) in enumerate(pairs):
        batch.views["identity"][row] = face
    return batch


def test_who_is_asked_about_and_recognised_gets_their_embeddings(chat: VideoChat) -> None:
    batch = batch_of(
        chat, ("Is <tom> here?", TOM + NEAR), ("Is <tom> here?", ANN), ("Is <ann> here?", ANN - NEAR)
    )
    visual = chat.encode(batch)
    yes, no = [True, True], [False, False]
    assert visual.mask[:, -4:].tolist() == [[*yes, *no], [*no, *no], [*no, *yes]]
    rows = chat.language_model.token_rows.input_rows
    assert torch.equal(visual.tokens[0, -4:], rows[[1, 2, 4, 5]])  # soft tokens, not names
    assert chat.encode(batch, control="no_subject_tokens").mask.shape[1] == visual.mask.shape[1] - 4


def test_the_embedding_changes_the_score_only_where_it_is_shown(chat: VideoChat) -> None:
    batch = batch_of(chat, ("Is <tom> here?", TOM), ("Is <tom> here?", ANN))
    before = chat.presence_scores(batch)
    with torch.no_grad():
        chat.language_model.token_rows.input_rows[1:3] += 1
    recognised, other = (chat.presence_scores(batch) - before).tolist()
    assert abs(recognised) > 1e-3
    assert other == 0


def test_a_plan_counts_the_embeddings_though_it_knows_no_reference(chat: VideoChat) -> None:
    batch = batch_of(chat, ("Is <tom> here?", TOM))
    assert torch.equal(concept_chat().encode(batch).mask, chat.encode(batch).mask)


def test_it_learns_by_its_embedding_alone(tested: Callable[..., Any]) -> None:
    found = tested("concept_head", "--stages.video.epochs=3")
    assert found.moved == {"chat.language_model.token_rows.input_rows"}
    assert found.metrics["test/main/presence_auc"] > 0.9
    assert found.metrics["test/text_only/presence_auc"] == 0.5
    assert abs(found.metrics["test/face_blanked/presence_auc"] - 0.5) < 0.2
