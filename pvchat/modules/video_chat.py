"""The whole model, usable without Lightning: encode -> bridge -> splice -> decode (paper, figure 4a)."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from pvchat.batch import Batch, Tokens, TrainingClip, tokens_to
from pvchat.modules.base_views import Views
from pvchat.modules.introduction import Introduction
from pvchat.modules.language_model import LanguageModel
from pvchat.modules.published.checkpoint_folders import Source, open_checkpoint
from pvchat.modules.published.filling import fill
from pvchat.modules.qformer import QFormer
from pvchat.prompts import IGNORE, Encoded, PromptBuilder, SharedStart, TemplateName, Turn
from pvchat.routing import Routing
from pvchat.subjects import SubjectRegistry

Control = Literal["main", "text_only", "no_subject_tokens"]
"""How much the model is shown: everything, the text alone, or the clip without the subject's tokens."""
QFormerFactory = Callable[[int, int], QFormer]


@dataclass(frozen=True)
class Visual:
    """Visual tokens (B, V * Q, D_lm), those of one pass after another, their ``mask`` (B, V * Q), the routing
    of each routed module over all passes, and how present each person looks to their personal queries:
    ``presence`` (B, P) logits."""

    tokens: Tensor
    mask: Tensor
    routings: dict[str, Routing]
    presence: Tensor


@dataclass(frozen=True)
class ChatOutput:
    """``logits`` (N, V) and ``labels`` (N,) at the N supervised positions; ``first`` (N,) marks the
    first answer token of each row. ``presence`` are logits (B, P), truth (B, P), and where it is known of a
    person asked about (B, P)."""

    logits: Tensor
    labels: Tensor
    first: Tensor
    routings: dict[str, Routing]
    presence: tuple[Tensor, Tensor, Tensor] | None = None


class VideoChat(nn.Module):
    """Vision encoder views, ReMoH Q-former and a language model with LoRA, spliced by the paper's prompt.

    ``qformer`` builds the bridge from (context width, number of persons). The Q-former reads a clip once for
    each of the V passes of ``views``, and the prompt has a ``<Video>`` segment for each. All parameters are
    frozen or trained by group name; see ``parameter_groups``. ``pretrained`` is a folder of the published
    checkpoint, imported or not: bridge and LoRA start from there (encoder and language model load their own
    weights). Raises UserError if one of its tensors has no place here. ``introduction`` makes persons known
    in another way than by tokens of their own.
    """

    def __init__(
        self,
        subjects: Sequence[str],
        *,
        views: Views,
        qformer: QFormerFactory,
        language_model: LanguageModel,
        num_soft_tokens: int = 16,
        template: TemplateName | None = None,
        pretrained: Path | None = None,
        introduction: Introduction | None = None,
    ) -> None:
        super().__init__()
        self.registry = SubjectRegistry(subjects, num_soft_tokens=num_soft_tokens)
        self.views = views
        self.qformer = qformer(views.context_width, len(self.registry))
        self.language_model = language_model
        language_model.add_rows(self.registry.num_rows)
        self.project_up = nn.Linear(self.qformer.width, language_model.width)
        # the Q-former ends in a LayerNorm: visual tokens start at the scale of the word embeddings
        nn.init.normal_(self.project_up.weight, std=language_model.embedding_std / self.qformer.width**0.5)
        nn.init.zeros_(self.project_up.bias)
        self.presence_head = nn.Linear(self.qformer.width, 1)
        prompts = PromptBuilder(
            tokenizer=language_model.tokenizer,
            registry=self.registry,
            vocab_size=language_model.vocab_size,
            template=template or language_model.template,
            tokens_per_view=self.qformer.num_queries,
            num_views=views.num_passes,
        )
        self.introduction = introduction
        self.prompts = prompts if introduction is None else introduction.prompts(prompts)
        self.yes_id, self.no_id = (
            language_model.tokenizer.encode(word, add_special_tokens=False)[0] for word in ("Yes", "No")
        )
        self.pretrained: Source | None = None
        if pretrained is not None:
            self.pretrained = open_checkpoint(pretrained)
            fill(self, self.pretrained, parts=("bridge", "lora"))

    def forward(self, batch: Batch, *, control: Control = "main") -> ChatOutput:
        """Logits of the answers of ``batch``, computed at supervised positions only."""
        encoded = [self._encode_text([Turn(e.question, e.answer)], control) for e in batch.examples]
        visual = None if control == "text_only" else self.encode(batch, control=control)
        tokens = self._collate(encoded, side="right")
        hidden = self.language_model.hidden(*self.splice(tokens, visual))
        places, first = (values.to(hidden.device) for values in _supervised(encoded, tokens.labels.shape[1]))
        logits = self.language_model.logits(hidden.flatten(0, 1)[places - 1])
        labels = tokens.labels.flatten()[places]
        presence = self._presence(batch, visual) if visual else None
        return ChatOutput(logits, labels, first, visual.routings if visual else {}, presence)

    def study(self, clips: Iterable[TrainingClip]) -> None:
        """Training clips as they are, seen before training and before each test: an introduction may show
        them; else nothing is kept, since all that is known of a person is in the weights."""
        if self.introduction is not None:
            self.introduction.study(clips)

    def encode(self, batch: Batch, *, control: Control = "main") -> Visual:
        """Late encoder blocks, Q-former and projection of cached features, and what introduces a person."""
        visual = self._read(batch, control)
        if self.introduction is None or control != "main":
            return visual

        def look(clips: Batch) -> tuple[Tensor, Tensor]:
            seen = self._read(clips, "no_subject_tokens")
            return seen.tokens, seen.mask

        rows = self.language_model.token_rows.input_rows
        tokens, mask = self.introduction.extend(batch, visual.tokens, visual.mask, look=look, rows=rows)
        return replace(visual, tokens=tokens, mask=mask)

    def _read(self, batch: Batch, control: Control) -> Visual:
        passes = self.views.num_passes
        context, context_mask = self.views(batch.views, batch.view_masks)  # (B * V, K, Dc), (B * V, K)
        asked = batch.person_mask if control == "main" else torch.zeros_like(batch.person_mask)
        asked = asked.repeat_interleave(passes, 0)
        out = self.qformer(context, context_mask=context_mask, person_mask=asked)
        persons, count, _ = self.qformer.personal_query_tokens.shape
        personal = out.hidden[:, len(self.qformer.query_tokens) :].unflatten(1, (persons, count))
        presence = self.presence_head(personal.sum(2) / max(1, count)).squeeze(-1)  # (B * V, P)
        return Visual(
            self.project_up(out.hidden).unflatten(0, (-1, passes)).flatten(1, 2),
            out.mask.unflatten(0, (-1, passes)).flatten(1, 2),
            {name: routing.joined(passes) for name, routing in out.routings.items()},
            presence.unflatten(0, (-1, passes)).mean(1),
        )

    def splice(self, tokens: Tokens, visual: Visual | None) -> tuple[Tensor, Tensor]:
        """Word embeddings with the visual tokens in their slots, and the attention mask (B, S)."""
        embeds = self.language_model.embed(tokens.input_ids)
        if visual is None:
            return embeds, tokens.attention_mask
        attention = tokens.attention_mask.masked_scatter(tokens.visual_mask, visual.mask)
        embeds = embeds.masked_scatter(tokens.visual_mask.unsqueeze(-1), visual.tokens.to(embeds.dtype))
        return embeds, attention

    @torch.no_grad()
    def presence_scores(self, batch: Batch, *, control: Control = "main") -> Tensor:
        """Logit of "Yes" minus logit of "No" (B,) as first word of the answer."""
        logits = self.language_model.logits(self.language_model.read(*self._questions(batch, control)))
        return logits[:, self.yes_id] - logits[:, self.no_id]

    @torch.no_grad()
    def answer(self, batch: Batch, *, control: Control = "main", max_new_tokens: int = 32) -> list[str]:
        """Greedy answers, deterministic and independent of what else is in the batch."""
        ids = self.language_model.generate(*self._questions(batch, control), max_new_tokens=max_new_tokens)
        return [self.language_model.decode(row, self.registry) for row in ids]

    @torch.no_grad()
    def stream(self, batch: Batch, turns: Sequence[Turn], *, max_new_tokens: int = 128) -> Iterator[str]:
        """Pieces of the answer to the last of ``turns`` about the one clip in ``batch``."""
        tokens = self._collate([self.prompts.encode(turns)], side="left")
        embeds, attention = self.splice(tokens, self.encode(batch))
        ids: list[int] = []
        shown = ""
        for token in self.language_model.stream(embeds, attention, max_new_tokens=max_new_tokens):
            ids.append(token)
            text = self.language_model.decode(ids, self.registry)
            if not text.endswith("\ufffd"):  # a character may need several tokens
                yield text[len(shown) :]
                shown = text

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """Everything that can be trained, by name; the rest of the model is frozen for good."""
        routers = [p for n, p in self.qformer.named_parameters() if "router" in n.split(".")]
        routed = {id(p) for p in routers} | {id(self.qformer.personal_query_tokens)}
        bridge = [p for p in self.qformer.parameters() if id(p) not in routed]
        rows = self.language_model.token_rows
        learned = rows.parameters() if self.introduction is None else [rows.input_rows]
        return {
            "token_rows": [*learned, self.qformer.personal_query_tokens],
            "qformer": [
                *bridge,
                *self.views.bridge_parameters(),
                *self.project_up.parameters(),
                *self.presence_head.parameters(),
            ],
            "router": routers,
            "lora": list(self.language_model.lora_parameters()),
            "encoder_late": list(self.views.late_parameters()),
        }

    @contextmanager
    def other_subject(self, *, seed: int = 0) -> Iterator[None]:
        """Exchange what belongs to a person: with several persons each gets the next one's token rows and
        personal queries, a single person gets untrained ones. Undone on exit."""
        owned = self._owned_by_person()
        saved = [p.detach().clone() for p in owned]
        fresh = self._rolled() if len(self.registry) > 1 else self._untrained(seed)
        with torch.no_grad():
            for parameter, value in zip(owned, fresh, strict=True):
                parameter.copy_(value)
        try:
            yield
        finally:
            with torch.no_grad():
                for parameter, value in zip(owned, saved, strict=True):
                    parameter.copy_(value)

    def _owned_by_person(self) -> list[nn.Parameter]:
        return [*self.language_model.token_rows.parameters(), self.qformer.personal_query_tokens]

    def _rolled(self) -> list[Tensor]:
        rows = 1 + self.registry.num_soft_tokens
        *token_rows, queries = self._owned_by_person()
        return [*(r.roll(rows, 0) for r in token_rows), queries.roll(1, 0)]

    def _untrained(self, seed: int) -> list[Tensor]:
        generator = torch.Generator().manual_seed(seed)
        rows = self.language_model.initial_rows(self.registry.num_rows, generator=generator)
        queries = torch.randn(self.qformer.personal_query_tokens.shape, generator=generator) * 0.02
        return [*rows, queries]

    def _presence(self, batch: Batch, visual: Visual) -> tuple[Tensor, Tensor, Tensor]:
        """See ``ChatOutput.presence``."""
        truth = [[e.presence.get(n) for n in self.registry.names] for e in batch.examples]
        known = torch.tensor([[t is not None for t in row] for row in truth], device=visual.presence.device)
        present = torch.tensor([[bool(t) for t in row] for row in truth], device=visual.presence.device)
        return visual.presence, present, known & batch.person_mask

    def _questions(self, batch: Batch, control: Control) -> tuple[Tensor, Tensor, SharedStart]:
        """Prompts as ``splice`` gives them, each clip seen once for all questions about the same persons, and
        what these prompts share."""
        encoded = [self._encode_text([Turn(e.question)], control) for e in batch.examples]
        last = min(len(e.input_ids) for e in encoded) - 1
        start = next((i for i in range(last) if len({e.input_ids[i] for e in encoded}) > 1), last)
        shared = SharedStart(start, _same_view(batch) if control != "text_only" else [0] * len(batch))
        visual = None
        if control != "text_only":
            seen = self.encode(batch.select(shared.first), control=control)
            visual = replace(seen, tokens=seen.tokens[shared.kind], mask=seen.mask[shared.kind])
        return *self.splice(self._collate(encoded, side="left", start=start), visual), shared

    def _encode_text(self, turns: Sequence[Turn], control: Control) -> Encoded:
        return self.prompts.encode(
            turns, with_video=control != "text_only", with_subjects=control != "no_subject_tokens"
        )

    def _collate(
        self, encoded: Sequence[Encoded], *, side: Literal["left", "right"], start: int = 0
    ) -> Tokens:
        tokens = self.prompts.collate(encoded, pad_id=self.language_model.pad_id, side=side, start=start)
        return tokens_to(tokens, self.project_up.weight.device)


def _same_view(batch: Batch) -> list[int]:
    """For each question the first of ``batch`` about the same clip and the same persons."""
    seen: dict[tuple[str, tuple[bool, ...]], int] = {}
    asked = zip(batch.examples, batch.person_mask.tolist(), strict=True)
    return [seen.setdefault((e.clip_id, tuple(mask)), n) for n, (e, mask) in enumerate(asked)]


def _supervised(encoded: Sequence[Encoded], length: int) -> tuple[Tensor, Tensor]:
    """Places of answer tokens in a flat, right-padded (B * S), and which is the first of its row: (N,) each.
    Found in lists, since a device would have to be waited for."""
    rows = [[i for i, label in enumerate(e.labels) if label != IGNORE] for e in encoded]
    places = [number * length + i for number, row in enumerate(rows) for i in row]
    first = [i == row[0] for row in rows for i in row]
    return torch.tensor(places, dtype=torch.long), torch.tensor(first, dtype=torch.bool)
