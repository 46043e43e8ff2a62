"""Batches of questions: what a loader shows, and a training loader that resumes inside an epoch."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from pvchat.batch import Batch, Example, Features, first_frames, stack_features
from pvchat.datamodules.clip_store import ClipStore, Variant
from pvchat.datamodules.manifest import Record
from pvchat.subjects import SubjectRegistry

Item = tuple[Example, Features]


class Questions(Dataset[Item]):
    """Examples with the features of their clip, read from the cache when asked."""

    def __init__(
        self, pairs: Sequence[tuple[Record, Example]], store: ClipStore, variant: Variant = "main"
    ) -> None:
        self.pairs, self.store, self.variant = pairs, store, variant

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Item:
        record, example = self.pairs[index]
        return example, self.store.features(record, self.variant)


@dataclass(frozen=True)
class Collate:
    """Items -> Batch; at most ``num_frames`` frames of each clip are shown, as ``show`` knows how."""

    registry: SubjectRegistry
    num_frames: int | None = None
    show: Callable[[Features, int | None], Features] = first_frames

    def __call__(self, items: Sequence[Item]) -> Batch:
        shown = [self.show(features, self.num_frames) for _, features in items]
        views, masks = stack_features(shown)
        examples = [example for example, _ in items]
        asked = [self.registry.person_mask(example.question) for example in examples]
        return Batch(examples, views, masks, torch.tensor(asked))


class EpochLoader:
    """The batches of one epoch. Lightning keeps its ``state_dict`` in checkpoints: loaded after ``k`` batches
    it yields exactly the others. ``len`` stays that of the whole epoch, as Lightning expects.

    A state of another epoch is not for this loader and is ignored: Lightning also hands over that of an
    epoch that was complete."""

    def __init__(
        self,
        questions: Questions,
        batches: Sequence[Sequence[int]],
        *,
        epoch: int,
        collate: Collate,
        num_workers: int = 0,
    ) -> None:
        self.questions, self.batches, self.epoch = questions, batches, epoch
        self.collate, self.num_workers = collate, num_workers
        self._start = self._yielded = 0

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Batch]:
        self._yielded, self._start = self._start, 0
        left = [list(batch) for batch in self.batches[self._yielded :]]
        loader: DataLoader[Item] = DataLoader(
            self.questions,
            batch_sampler=left,
            collate_fn=self.collate,
            num_workers=self.num_workers,
            generator=torch.Generator(),  # else each pass draws a number from the global one
        )
        for batch in loader:
            self._yielded += 1  # before the yield: a checkpoint is written while we wait there
            yield batch

    def state_dict(self) -> dict[str, Any]:
        return {"epoch": self.epoch, "batches": self._yielded}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if state["epoch"] == self.epoch:
            self._start = self._yielded = state["batches"]
