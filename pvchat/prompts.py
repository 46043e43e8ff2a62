"""Conversation -> ids, labels, visual slots. A prompt is a list of (piece, supervised?) segments."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch

from pvchat.batch import Tokens
from pvchat.errors import UserError
from pvchat.subjects import PERSON_CLOSE, PERSON_OPEN, SubjectRegistry, mentions, split_mentions

IGNORE = -100


class Tokenizer(Protocol):
    """The little we ask of a Hugging Face tokenizer."""

    def encode(self, text: str, *, add_special_tokens: bool = ...) -> list[int]: ...


@dataclass(frozen=True)
class Template:
    """Text around the turns. ``eos`` ends an answer and is supervised with it."""

    bos: str
    video_turn: tuple[str, str]
    user_turn: tuple[str, str]
    eos: str


TEMPLATES: dict[str, Template] = {
    # the paper's (Mistral-7B-Instruct): [INST] <Video>..</Video> [/INST] [INST][<sks>]..?[/INST]answer</s>
    "mistral": Template("<s>", ("[INST] ", " [/INST] "), ("[INST]", "[/INST]"), "</s>"),
    "chatml": Template(
        "<|im_start|>user\n", ("", "\n"), ("", "<|im_end|>\n<|im_start|>assistant\n"), "<|im_end|>"
    ),
}
TemplateName = Literal["mistral", "chatml"]


@dataclass(frozen=True)
class Turn:
    """A question and, unless it is still to be answered, its answer."""

    question: str
    answer: str | None = None


@dataclass(frozen=True)
class Encoded:
    input_ids: list[int]
    labels: list[int]
    visual: list[bool]


@dataclass(frozen=True)
class SharedStart:
    """Prompts that begin alike: the first ``length`` positions of prompt b are those of prompt ``like[b]``,
    the first one of its kind."""

    length: int
    like: Sequence[int]

    @property
    def first(self) -> list[int]:
        """The prompts whose start has to be read, one of each kind."""
        return sorted(set(self.like))

    @property
    def kind(self) -> list[int]:
        """Which of ``first`` each prompt begins as."""
        return [self.first.index(row) for row in self.like]


class PromptBuilder:
    """Builds the paper's prompt for any number of persons.

    The registered persons are always all listed, present or not (listing only who is present would leak
    the answer). ``num_views`` visual segments of ``tokens_per_view`` slots each."""

    def __init__(
        self,
        *,
        tokenizer: Tokenizer,
        registry: SubjectRegistry,
        vocab_size: int,
        template: TemplateName,
        tokens_per_view: int,
        num_views: int = 1,
    ) -> None:
        self.tokenizer, self.registry, self.vocab_size = tokenizer, registry, vocab_size
        self.template = TEMPLATES[template]
        self.tokens_per_view, self.num_views = tokens_per_view, num_views

    def encode(
        self, turns: Sequence[Turn], *, with_video: bool = True, with_subjects: bool = True
    ) -> Encoded:
        """Ids of a conversation; answers are supervised. Without subjects, mentions read "the person"
        and the subject blocks are left out (a control)."""
        if any(t.answer is None for t in turns[:-1]):
            raise ValueError("only the last turn may be unanswered.")
        out = Encoded([], [], [])
        template = self.template
        self._text(out, template.bos)
        if with_video:
            self._text(out, template.video_turn[0])
            self._video(out, with_subjects)
            self._text(out, template.video_turn[1])
        for i, turn in enumerate(turns):
            if i and template.bos.endswith("\n"):  # ChatML opens every user turn
                self._text(out, "\n" + template.bos)
            self._text(out, template.user_turn[0])
            if i == 0 and with_subjects:
                self._subjects(out)
            self._mentions(out, turn.question, with_subjects, supervised=False)
            self._text(out, template.user_turn[1])
            if turn.answer is not None:
                self._mentions(out, turn.answer, with_subjects, supervised=True)
                self._text(out, template.eos, supervised=True)
        return out

    def collate(
        self,
        encoded: Sequence[Encoded],
        *,
        pad_id: int,
        side: Literal["left", "right"] = "right",
        start: int = 0,
    ) -> Tokens:
        """Pad to one length: right for training, left for generation, there behind the first ``start``
        positions, which prompts that begin alike keep in common."""
        length = max(len(e.input_ids) for e in encoded)

        def pad(values: Sequence[int], fill: int) -> list[int]:
            filler = [fill] * (length - len(values))
            return [*values[:start], *filler, *values[start:]] if side == "left" else [*values, *filler]

        return Tokens(
            input_ids=torch.tensor([pad(e.input_ids, pad_id) for e in encoded]),
            attention_mask=torch.tensor([pad([1] * len(e.input_ids), 0) for e in encoded]).bool(),
            labels=torch.tensor([pad(e.labels, IGNORE) for e in encoded]),
            visual_mask=torch.tensor([pad(e.visual, 0) for e in encoded]).bool(),
        )

    def _video(self, out: Encoded, with_subjects: bool) -> None:
        for _ in range(self.num_views):
            self._text(out, "<Video>")
            self._slots(out, self.tokens_per_view)
            self._text(out, "</Video>")

    def _subjects(self, out: Encoded) -> None:
        several = len(self.registry) > 1
        for name in self.registry.names:
            self._text(out, PERSON_OPEN if several else "[")
            self._row(out, self.registry.name_row(name))
            if self.registry.num_soft_tokens:
                self._text(out, " is ")
                for row in self.registry.soft_rows(name):
                    self._row(out, row)
            self._text(out, PERSON_CLOSE if several else "]")
        self._text(out, " ")

    def _mentions(self, out: Encoded, text: str, with_subjects: bool, *, supervised: bool) -> None:
        for part in split_mentions(text):
            name = mentions(part)
            if name and not with_subjects:
                self._text(out, "the person", supervised=supervised)
            elif name and name[0] in self.registry.names:
                self._row(out, self.registry.name_row(name[0]), supervised=supervised)
            elif name:
                raise UserError(f"unknown subject {name[0]!r}; registered: {list(self.registry.names)}.")
            else:
                self._text(out, part, supervised=supervised)

    def _text(self, out: Encoded, text: str, *, supervised: bool = False) -> None:
        if text:
            self._ids(out, self.tokenizer.encode(text, add_special_tokens=False), supervised)

    def _row(self, out: Encoded, row: int, *, supervised: bool = False) -> None:
        self._ids(out, [self.vocab_size + row], supervised)

    def _ids(self, out: Encoded, ids: Sequence[int], supervised: bool) -> None:
        out.input_ids.extend(ids)
        out.labels.extend(ids if supervised else [IGNORE] * len(ids))
        out.visual.extend([False] * len(ids))

    def _slots(self, out: Encoded, count: int) -> None:
        out.input_ids.extend([0] * count)
        out.labels.extend([IGNORE] * count)
        out.visual.extend([True] * count)
