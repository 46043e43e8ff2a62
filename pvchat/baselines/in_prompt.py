"""The base model, told about a person by its prompt alone: nothing, a description, or the reference clip."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from pvchat.baselines.reference_clips import references_of
from pvchat.baselines.worded_prompts import WordedPrompts
from pvchat.batch import Batch, Features, TrainingClip, stack_features
from pvchat.errors import UserError
from pvchat.modules.introduction import Introduction, Look
from pvchat.prompts import PromptBuilder

MOST_SENTENCES = 3


class InPrompt(Introduction):
    """Persons are called by name, and the weights keep nothing of them.

    ``reference="clip"``: the first reference clip of each person comes first, as visual tokens.
    ``"description"``: a description of each stands before the question, of ``descriptions`` (name -> text) or
    made of up to three answers on appearance about the reference. ``"none"``: the base model as it is. What
    of it trains, if anything, is up to ``stages``. Raises UserError where there is nothing to show."""

    def __init__(
        self,
        *,
        reference: Literal["none", "description", "clip"] = "none",
        descriptions: Mapping[str, str] | None = None,
    ) -> None:
        self.reference, self.descriptions = reference, descriptions or {}
        self.shown: list[Features] = []

    def prompts(self, prompts: PromptBuilder) -> PromptBuilder:
        self.names = prompts.registry.names
        self.worded = WordedPrompts(prompts, clips_of=self.names if self.reference == "clip" else ())
        return self.worded

    def study(self, clips: Iterable[TrainingClip]) -> None:
        if self.reference == "none":
            return
        seen = list(clips)
        if self.reference == "clip":
            self.shown = [references_of(seen, name)[0].features for name in self.names]
        else:
            told = {name: self.descriptions.get(name) or _description(seen, name) for name in self.names}
            self.worded.descriptions = told

    def extend(
        self, batch: Batch, tokens: Tensor, mask: Tensor, *, look: Look, rows: Tensor
    ) -> tuple[Tensor, Tensor]:
        if self.reference != "clip":
            return tokens, mask
        shown = [_like(features, batch.views) for features in self.shown]
        if not shown:  # nothing was studied, as in a plan: the clip takes the place of references
            first = {n: v[0] for n, v in batch.views.items()}
            first |= {f"{n}.mask": m[0] for n, m in batch.view_masks.items()}
            shown = [first] * len(self.names)
        views, masks = stack_features(shown)
        asked = batch.person_mask.new_zeros(len(shown), len(self.names))
        introduced, there = look(Batch([], views, masks, asked).to(tokens.device))  # (P, N, D), (P, N)
        many = len(batch)
        introduced, there = introduced.flatten(0, 1).expand(many, -1, -1), there.flatten().expand(many, -1)
        return torch.cat([introduced, tokens], 1), torch.cat([there, mask], 1)


def _like(features: Features, views: Mapping[str, Any]) -> Features:
    """Those of ``features`` that ``views`` has, which depends on the stage where frames are read jointly."""
    kept = {name: value for name, value in features.items() if name.removesuffix(".mask") in views}
    return kept or features  # a photo among videos


def _description(clips: Sequence[TrainingClip], name: str) -> str:
    asked = (e for clip in references_of(clips, name) for e in clip.examples if e.subjects == (name,))
    found = list(dict.fromkeys(e.answer for e in asked if e.type == "appearance"))
    if not found:
        raise UserError(
            f"a description of {name!r} is made of answers on appearance: no reference has one. Write it: "
            f"model.chat.init_args.introduction.init_args.descriptions {{{name}: ..}}."
        )
    return " ".join(found[:MOST_SENTENCES])
