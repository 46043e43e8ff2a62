"""A concept head and a concept embedding: in the manner of MyVLM (Alaluf et al., ECCV 2024)."""

from collections.abc import Iterable

import torch
from torch import Tensor

from pvchat.baselines.face_gallery import FaceGallery
from pvchat.baselines.worded_prompts import WordedPrompts
from pvchat.batch import Batch, TrainingClip
from pvchat.faces import SAME_PERSON
from pvchat.modules.introduction import Introduction, Look
from pvchat.prompts import PromptBuilder


class ConceptHead(Introduction):
    """Behind the visual tokens the language model is given the embeddings of who is asked about, their soft
    tokens, only where a head recognises their face: one of the clip within ``max_distance`` (L2) of the
    reference, as MyVLM does it for people, with a face recogniser and a fixed threshold. Persons are called
    by name. MyVLM's regulariser of attention and norm is left out."""

    def __init__(self, *, max_distance: float = SAME_PERSON) -> None:
        self.max_distance = max_distance
        self.gallery: FaceGallery | None = None

    def prompts(self, prompts: PromptBuilder) -> PromptBuilder:
        registry = prompts.registry
        self.rows = [row for name in registry.names for row in registry.soft_rows(name)]
        self.persons = [registry.index(name) for name in registry.names for _ in registry.soft_rows(name)]
        self.owners = [name for name in registry.names for _ in registry.soft_rows(name)]
        return WordedPrompts(prompts, slots_of=self.owners)

    def study(self, clips: Iterable[TrainingClip]) -> None:
        self.gallery = FaceGallery(list(clips))

    def extend(
        self, batch: Batch, tokens: Tensor, mask: Tensor, *, look: Look, rows: Tensor
    ) -> tuple[Tensor, Tensor]:
        embeddings = rows[self.rows].expand(len(batch), -1, -1)
        shown = self.recognised(batch).to(mask.device)
        return torch.cat([tokens, embeddings], 1), torch.cat([mask, shown], 1)

    def recognised(self, batch: Batch) -> Tensor:
        """Which embeddings are shown (B, P * n); unstudied, as in a plan, it recognises everybody."""
        if self.gallery is None:
            return batch.person_mask[:, self.persons]
        near = [
            [distances[name] <= self.max_distance for name in self.owners]
            for distances in self.gallery.distances(batch)
        ]
        return torch.tensor(near) & batch.person_mask.cpu()[:, self.persons]
