"""The same questions asked of a model before and after its training."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor

from pvchat.batch import Batch, tokens_to
from pvchat.modules.video_chat import VideoChat, Visual
from pvchat.prompts import IGNORE, Turn
from pvchat.retention.general_questions import Known
from pvchat.subjects import SubjectRegistry, mention, mentions

Before = Callable[[], AbstractContextManager[None]]
"""Inside, the model is what it was before training."""


@dataclass(frozen=True)
class Pair:
    """What is said to a question ``before`` and ``after``. ``unit``: the clip, or the question where there is
    none. ``truth``: right answers, empty where none is known. ``log_likelihood`` before and after: mean over
    the tokens (its end included) of the first of ``truth``, or of what was said before. ``kl``: from before
    to after, in nats, mean over the same tokens. ``named``: whether either answer names a subject."""

    unit: str
    question: str
    truth: tuple[str, ...]
    before: str
    after: str
    log_likelihood: tuple[float, float]
    kl: float
    named: tuple[bool, bool]


@torch.no_grad()
def ask_about_clips(chat: VideoChat, batch: Batch, before: Before, *, max_new_tokens: int) -> list[Pair]:
    """The questions of ``batch``, asked as in any test; an empty answer is an unknown one."""

    def say() -> list[str]:
        return chat.answer(batch, max_new_tokens=max_new_tokens)

    def look() -> Visual:
        return chat.encode(batch)

    units = [e.clip_id for e in batch.examples]
    questions = [Known(e.question, (e.answer,) if e.answer else ()) for e in batch.examples]
    return _ask(chat, units, questions, before, say, look)


@torch.no_grad()
def ask_in_text(
    chat: VideoChat, questions: Sequence[Known], before: Before, *, max_new_tokens: int
) -> list[Pair]:
    """The language model alone: neither clip nor subjects in the prompt."""

    def say() -> list[str]:
        encoded = [
            chat.prompts.encode([Turn(q)], with_video=False, with_subjects=False) for q, _ in questions
        ]
        model = chat.language_model
        tokens = chat.prompts.collate(encoded, pad_id=model.pad_id, side="left")
        embeds, mask = chat.splice(tokens_to(tokens, chat.project_up.weight.device), None)
        ids = model.generate(embeds, mask, max_new_tokens=max_new_tokens)
        return [model.decode(row, chat.registry) for row in ids]

    return _ask(chat, [q for q, _ in questions], questions, before, say, lambda: None)


def _ask(
    chat: VideoChat,
    units: Sequence[str],
    questions: Sequence[Known],
    before: Before,
    say: Callable[[], list[str]],
    look: Callable[[], Visual | None],
) -> list[Pair]:
    with before():
        then = say()
        wording = [
            q.answers[0] if q.answers else _plain(said, chat.registry)
            for q, said in zip(questions, then, strict=True)
        ]
        turns = [Turn(q.question, text) for q, text in zip(questions, wording, strict=True)]
        scored = list(_log_probs(chat, turns, look()))
    pairs = []
    rows = zip(units, questions, then, say(), scored, _log_probs(chat, turns, look()), strict=True)
    for unit, (question, truth), old, new, (labels, p), (_, q) in rows:
        likelihoods = [float(x.gather(1, labels[:, None]).mean()) for x in (p, q)]
        pairs.append(
            Pair(
                unit,
                question,
                truth,
                old,
                new,
                (likelihoods[0], likelihoods[1]),
                float((p.exp() * (p - q)).sum(1).mean()),
                (_names(old, chat.registry), _names(new, chat.registry)),
            )
        )
    return pairs


def _log_probs(
    chat: VideoChat, turns: Sequence[Turn], visual: Visual | None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Of each answer: ids (N,) of its tokens, and log-probabilities (N, V) at their places."""
    model, shown = chat.language_model, visual is not None
    encoded = [chat.prompts.encode([turn], with_video=shown, with_subjects=shown) for turn in turns]
    tokens = tokens_to(chat.prompts.collate(encoded, pad_id=model.pad_id), chat.project_up.weight.device)
    hidden = model.hidden(*chat.splice(tokens, visual))
    for states, labels in zip(hidden, tokens.labels, strict=True):
        places = (labels != IGNORE).nonzero().squeeze(1)
        yield labels[places], model.logits(states[places - 1]).log_softmax(-1)


def _plain(text: str, registry: SubjectRegistry) -> str:
    """What a model made up is no subject, however it is spelled."""
    for name in mentions(text):
        if name not in registry.names:
            text = text.replace(mention(name), name)
    return text


def _names(text: str, registry: SubjectRegistry) -> bool:
    """By token or by plain name."""
    return any(name in registry.names for name in mentions(registry.link(text)))
