"""A model that did not move answers as before; one whose LoRA is changed by hand does not."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import pytest
import torch
import torch.nn.functional as F
from tiny import make_batch, make_chat

from pvchat.batch import Batch
from pvchat.modules.language_model import LanguageModel, LoRA
from pvchat.modules.video_chat import VideoChat
from pvchat.retention.before_and_after import Before, ask_about_clips, ask_in_text
from pvchat.retention.general_questions import GENERAL_KNOWLEDGE, Known
from pvchat.retention.retention_report import TEXT, Group, Retention

ASKED = (("What is shown?", "A red shirt."), ("Where is it?", "It is outside."), "How many are there?")


@pytest.fixture
def chat() -> VideoChat:
    return make_chat().eval()


@pytest.fixture
def batch(chat: VideoChat) -> Batch:
    return make_batch(chat, *ASKED, types=["general"] * len(ASKED))


def shake_lora(chat: VideoChat, size: float) -> Before:
    """Change the adapters by hand; inside what is returned they are as they were."""
    adapters = chat.language_model.lora_parameters()
    start = [p.detach().clone() for p in adapters]
    generator = torch.Generator().manual_seed(1)
    moved = [p + size * torch.randn(p.shape, generator=generator) for p in start]

    def fill(values: list[torch.Tensor]) -> None:
        for parameter, value in zip(adapters, values, strict=True):
            parameter.data.copy_(value)

    @contextmanager
    def before() -> Iterator[None]:
        fill(start)
        yield
        fill(moved)

    fill(moved)
    return before


def test_a_model_that_did_not_move_answers_as_before(chat: VideoChat, batch: Batch) -> None:
    clips = ask_about_clips(chat, batch, nullcontext, max_new_tokens=6)
    text = ask_in_text(chat, GENERAL_KNOWLEDGE[:4], nullcontext, max_new_tokens=6)
    assert [p.unit for p in clips] == ["clip0", "clip1", "clip2"]
    assert [p.truth for p in clips] == [("A red shirt.",), ("It is outside.",), ()]
    for pair in (*clips, *text):
        assert pair.kl == 0
        assert pair.before == pair.after
        assert pair.log_likelihood[0] == pair.log_likelihood[1]


def test_adapters_changed_by_hand_are_seen_in_clips_and_in_text(chat: VideoChat, batch: Batch) -> None:
    before = shake_lora(chat, 0.5)
    clips = ask_about_clips(chat, batch, before, max_new_tokens=6)
    text = ask_in_text(chat, GENERAL_KNOWLEDGE[:4], before, max_new_tokens=6)
    for pair in (*clips, *text):
        assert pair.kl > 0.01
        assert pair.before != pair.after
    assert clips[2].log_likelihood[1] < clips[2].log_likelihood[0]  # of its own best wording


def test_answers_and_numbers_are_those_of_the_model_itself(chat: VideoChat, batch: Batch) -> None:
    """Against the answers and the logits that training sees, and torch's own divergence."""
    before = shake_lora(chat, 0.3)
    pairs = ask_about_clips(chat, batch, before, max_new_tokens=6)[:2]  # of which the truth is known
    known = batch.select([0, 1])
    assert [p.after for p in pairs] == chat.answer(known, max_new_tokens=6)
    with torch.no_grad():
        new = chat(known)
        with before():
            assert [p.before for p in pairs] == chat.answer(known, max_new_tokens=6)
            old = chat(known)
    rows = new.first.cumsum(0) - 1
    for row, pair in enumerate(pairs):
        here = rows == row
        for out, value in zip((old, new), pair.log_likelihood, strict=True):
            expected = -F.cross_entropy(out.logits[here], out.labels[here])
            assert value == pytest.approx(float(expected), abs=1e-5)
        p, q = (out.logits[here].log_softmax(-1) for out in (old, new))
        divergence = F.kl_div(q, p, log_target=True, reduction="batchmean")
        assert pair.kl == pytest.approx(float(divergence), abs=1e-6)


def test_the_language_model_is_alone_with_the_question(chat: VideoChat) -> None:
    """Neither the bridge nor the tokens of a person change what it says."""
    asked = [Known("What is 2 + 2?", ("4",))]
    first = ask_in_text(chat, asked, nullcontext, max_new_tokens=6)
    with torch.no_grad():
        chat.language_model.token_rows.input_rows.add_(1.0)
        chat.project_up.weight.add_(1.0)
    assert ask_in_text(chat, asked, nullcontext, max_new_tokens=6) == first


def test_a_subject_in_an_answer_is_seen(
    chat: VideoChat, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By token or by plain name; somebody whom the model made up is no subject, and breaks nothing."""
    said = iter([["It is <tom>.", "<zoe> sleeps.", "Red."], ["Red.", "I see Tom there.", "Tomorrow."]])
    monkeypatch.setattr(chat, "answer", lambda *_, **__: next(said))
    unknown = make_batch(chat, *(question for question in ("A?", "B?", "C?")), types=["general"] * 3)
    pairs = ask_about_clips(chat, unknown, nullcontext, max_new_tokens=6)
    assert [p.named for p in pairs] == [(True, False), (False, True), (False, False)]
    assert pairs[1].before == "<zoe> sleeps."


@pytest.mark.slow
def test_a_real_language_model_forgets_what_it_knew() -> None:
    """SmolLM2 knows capitals; with its adapters changed by hand it no longer does."""
    chat = make_chat(language_model=LanguageModel(lora=LoRA())).eval()
    questions = GENERAL_KNOWLEDGE[:8]
    still = ask_in_text(chat, questions, nullcontext, max_new_tokens=12)
    assert Group.of(TEXT, still).numbers["contains"].before >= 0.5
    assert (
        Retention("still", False, (Group.of(TEXT, still),)).sentences[0] == "No accuracy fell beyond chance."
    )
    moved = ask_in_text(chat, questions, shake_lora(chat, 0.1), max_new_tokens=12)
    assert [p.before for p in moved] == [p.before for p in still]
    assert Retention("moved", False, (Group.of(TEXT, moved),)).sentences[0].startswith(f"Forgotten: {TEXT}")
