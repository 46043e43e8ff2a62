"""The LightningDataModule: records of a source -> batches of questions about cached clip features."""

import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import cached_property
from math import ceil
from pathlib import Path
from typing import Literal

from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader
from tqdm import tqdm

from pvchat.assets import cache_dir as default_cache_dir
from pvchat.batch import Clip, Example, FeatureExtractor, Features, TrainingClip
from pvchat.datamodules.clip_store import ClipStore, Variant
from pvchat.datamodules.decoding import DecodeSettings, decode_ahead
from pvchat.datamodules.loader import Collate, EpochLoader, Item, Questions
from pvchat.datamodules.manifest import TRAINED, Record, Split, shared_sources
from pvchat.datamodules.sampling import epoch_order
from pvchat.datamodules.sources import Source
from pvchat.datamodules.video import MAX_PX, FramePolicy
from pvchat.errors import UserError
from pvchat.stages import StagePlan
from pvchat.subjects import SubjectRegistry

MOST_LINES = 20  # of bad clips on screen
Pairs = list[tuple[Record, Example]]
Decoded = Generator[tuple[Record, Clip | UserError | None], None, None]


class PersonalizedDataModule(LightningDataModule):
    """Questions about clips of ``source``, for training in ``stages``, calibration and testing.

    ``attach`` the feature extractor and the registry before ``setup``, which decodes every clip once and
    caches what the extractor makes of it. ``bad_clips`` (record id -> why) are those left out with
    ``on_bad_clip="skip"``; "error" refuses the first one. ``existence_fraction`` and ``questions_per_clip``:
    see ``epoch_order``; ``frame_policy`` and ``max_px``: see ``decode``. ``test_variants``: a test loader
    each. ``cache_dir``: ``$PVCHAT_CACHE`` or the user's cache when None. ``num_decode_workers`` processes
    decode ahead while this one extracts; with 0 it does both in turn. What is cached is the same."""

    def __init__(
        self,
        *,
        source: Source,
        stages: StagePlan | None = None,
        num_frames: int = 4,
        frame_policy: FramePolicy = "first",
        max_px: int | None = MAX_PX,
        batch_size: int = 4,
        eval_batch_size: int = 16,
        existence_fraction: float = 0.5,
        questions_per_clip: int | None = None,
        on_bad_clip: Literal["error", "skip"] = "error",
        test_variants: tuple[Variant, ...] = ("main", "face_blanked"),
        cache_dir: str | None = None,
        cache_frames: bool = True,
        num_workers: int = 0,
        num_decode_workers: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        sizes = {"num_frames": num_frames, "batch_size": batch_size, "eval_batch_size": eval_batch_size}
        for name, value in sizes.items():
            if value < 1:
                raise UserError(f"{name} must be >= 1: got {value}.")
        if num_decode_workers < 0:
            raise UserError(f"num_decode_workers must be >= 0: got {num_decode_workers}.")
        self.num_decode_workers = num_decode_workers
        self.source, self.stages = source, stages or StagePlan()
        self.settings = DecodeSettings(num_frames, max_px, frame_policy)
        self.batch_size, self.eval_batch_size = batch_size, eval_batch_size
        self.num_workers, self.seed = num_workers, seed
        self.existence_fraction, self.questions_per_clip = existence_fraction, questions_per_clip
        self.on_bad_clip, self.test_variants = on_bad_clip, test_variants
        self.cache_dir, self.cache_frames = cache_dir, cache_frames
        self.bad_clips: dict[str, str] = {}
        self._prepared: set[tuple[tuple[Split, ...], Variant]] = set()
        self._said: set[str] = set()
        self._store: ClipStore | None = None
        self._registry: SubjectRegistry | None = None

    @property
    def subjects(self) -> tuple[str, ...]:
        return self.source.subjects

    def attach(self, extractor: FeatureExtractor, registry: SubjectRegistry) -> None:
        """Inject what turns clips into features, and the persons the model knows."""
        for name in self.subjects:
            registry.index(name)
        root = Path(self.cache_dir) if self.cache_dir else default_cache_dir() / "clips"
        self._registry = registry
        self._store = ClipStore(
            root, extractor=extractor, settings=self.settings, keep_frames=self.cache_frames
        )
        self._prepared.clear()

    def setup(self, stage: str) -> None:
        """Decode and extract what ``stage`` needs and is not cached yet, on the device of the trainer."""
        if self.trainer is not None:  # Lightning moves the model there only later
            self.store.extractor.to(self.trainer.strategy.root_device)
        if stage == "fit":
            self.total_steps()  # also finds a stage that has no questions
            polarities = {e.polarity for _, e in self._examples(TRAINED) if e.type == "existence"}
            if len(polarities) == 1:
                self._say(
                    f"every existence question of the training clips is answered {polarities.pop()}: "
                    "the model cannot learn who the subject is. Add clips for the other answer."
                )
            self._say_what_is_missing()
        if stage in ("fit", "validate") and self._has("validation"):
            self._examples(("validation",))
        if stage == "test":
            self._calibration()
        if stage in ("test", "predict"):
            for variant in self.test_variants if stage == "test" else ("main",):
                self._examples(("test",), variant)
            self._refuse_copies()
            if shared := shared_sources(self.records):
                self._say(
                    f"test clips come from sources that other splits use too: {_listed(shared)}. "
                    "Their scores do not tell how well unseen recordings do."
                )

    def train_dataloader(self) -> EpochLoader:
        """This epoch's batches, with the frames and question types of its stage."""
        trainer = self.trainer
        every = getattr(trainer, "reload_dataloaders_every_n_epochs", 1)
        if trainer is not None and trainer.max_epochs != 1 and every != 1:
            raise UserError(
                "every epoch has its own questions: trainer.reload_dataloaders_every_n_epochs must be 1, "
                f"got {every}."
            )
        return self.epoch_loader(trainer.current_epoch if trainer is not None else 0)

    def epoch_loader(self, epoch: int) -> EpochLoader:
        """The training batches of ``epoch``: a pure function of the data, the seed and the epoch."""
        return EpochLoader(
            Questions(self._examples(TRAINED), self.store),
            self._batches(epoch),
            epoch=epoch,
            collate=Collate(self._known, self.stages.at(epoch).num_frames, self.store.extractor.show),
            num_workers=self.num_workers,
        )

    def training_features(self) -> Iterator[Features]:
        """Features of each training clip that is asked about, from the cache."""
        return (clip.features for clip in self.training_clips() if clip.examples)

    def training_clips(self) -> Iterator[TrainingClip]:
        """Each training clip, from the cache; of the reference also those that are asked nothing."""
        self._examples(TRAINED)  # their features are made together
        for record in (r for r in self.records if r.split in TRAINED and (r.qa or r.split == "reference")):
            with self._tolerant(record):
                features = self.store.features(record)
            if record.id not in self.bad_clips:
                asked, first = tuple(questions_of(record)), record.split == "reference"
                yield TrainingClip(record.id, features, asked, record.presence, first, record.source_id)

    def left_out(self) -> dict[str, dict[str, str]]:
        """Bad clips that were met so far, and why they are, by split."""
        found: dict[str, dict[str, str]] = {}
        for record in self.records:
            if record.id in self.bad_clips:
                found.setdefault(record.split, {})[record.id] = self.bad_clips[record.id]
        return found

    def order(self, examples: Sequence[Example], epoch: int) -> list[int]:
        """Which of the training questions ``examples`` the epoch asks, and in which order."""
        return epoch_order(
            examples,
            types=self.stages.at(epoch).question_types,
            seed=self.seed,
            epoch=epoch,
            existence_fraction=self.existence_fraction,
            questions_per_clip=self.questions_per_clip,
        )

    def steps_per_epoch(self, epoch: int) -> int:
        """Training batches of one process in ``epoch``."""
        return len(self._batches(epoch))

    def total_steps(self) -> int:
        """Training batches of one process in all stages."""
        return sum(self.steps_per_epoch(epoch) for epoch in range(self.stages.epochs))

    def batch_sizes(self, epoch: int) -> list[int]:
        """Questions in each training batch of ``epoch``, as many in every process but for the last one."""
        return [len(batch) for batch in self._batches(epoch)]

    def polarities(self, split: Split) -> set[str]:
        """Answers to the existence questions of ``split``: yes, no, both or none."""
        if not self._has(split):
            return set()
        return {e.polarity for _, e in self._examples((split,)) if e.polarity is not None}

    def val_dataloader(self) -> DataLoader[Item] | list[DataLoader[Item]]:
        """All questions of the validation clips; no loader where there are none."""
        return self._loader(self._examples(("validation",))) if self._has("validation") else []

    def calibration_dataloader(self) -> DataLoader[Item]:
        """Existence questions to calibrate a threshold on: of the validation clips, or, where there are
        none, one for each training clip. Never of test clips."""
        return self._loader(self._calibration())

    def test_dataloader(self, variant: Variant | None = None) -> DataLoader[Item] | list[DataLoader[Item]]:
        """All questions of the test clips: ``variant``, or a loader for each of ``test_variants``."""
        if variant is None:
            return [self._loader(self._examples(("test",), v), v) for v in self.test_variants]
        return self._loader(self._examples(("test",), variant), variant)

    def predict_dataloader(self) -> DataLoader[Item]:
        """The test questions about the clips as they are."""
        return self._loader(self._examples(("test",)))

    @cached_property
    def records(self) -> list[Record]:
        """All clips of the source."""
        return self.source.records()

    @property
    def store(self) -> ClipStore:
        """Where features come from. RuntimeError before ``attach``."""
        if self._store is None:
            raise RuntimeError("attach(extractor, registry) must be called before setup().")
        return self._store

    @property
    def _known(self) -> SubjectRegistry:
        if self._registry is None:
            raise RuntimeError("attach(extractor, registry) must be called before setup().")
        return self._registry

    def _has(self, split: Split) -> bool:
        return any(r.split == split and r.qa for r in self.records)

    def _batches(self, epoch: int) -> list[list[int]]:
        """Indices of this process's batches: processes take turns, so that batch k of all of them together is
        batch k of one process with batches that much larger. Where the last would have none in some process,
        the first questions are asked again."""
        order = self.order([example for _, example in self._examples(TRAINED)], epoch)
        world, rank = (1, 0) if self.trainer is None else (self.trainer.world_size, self.trainer.global_rank)
        turns = ceil(len(order) / world)
        everyone_has_one = len(order) // world > (turns - 1) // self.batch_size * self.batch_size
        end = len(order) if everyone_has_one else turns * world
        mine = [order[i % len(order)] for i in range(rank, end, world)]
        return [mine[i : i + self.batch_size] for i in range(0, turns, self.batch_size)]

    def _loader(self, pairs: Pairs, variant: Variant = "main") -> DataLoader[Item]:
        return DataLoader(
            Questions(pairs, self.store, variant),
            batch_size=self.eval_batch_size,
            collate_fn=Collate(self._known, show=self.store.extractor.show),
            num_workers=self.num_workers,
        )

    def _calibration(self) -> Pairs:
        if self._has("validation"):
            pairs = [(r, e) for r, e in self._examples(("validation",)) if e.type == "existence"]
            if len({e.polarity for _, e in pairs}) == 2:
                return pairs
        self._say(
            "there are no validation clips with and without the subject: thresholds are calibrated on the "
            "training clips."
        )
        asked: dict[str, Pairs] = {}
        for record, example in self._examples(TRAINED):
            if example.type == "existence":
                asked.setdefault(record.id, []).append((record, example))
        return [pairs[n % len(pairs)] for n, pairs in enumerate(asked.values())]

    def _say_what_is_missing(self) -> None:
        """What a training can do without, but will be missed: test clips, and views of the subject."""
        if absent := [r.path for r in self.records if r.split == "test" and not r.path.exists()]:
            then = "refuse them" if self.on_bad_clip == "error" else "leave them out"
            self._say(f"{len(absent)} test clips do not exist, a test will {then}: {_listed(absent)}.")
        shown = [r for r in self.records if r.split in TRAINED and r.qa and any(r.presence.values())]
        empty = [
            r.id
            for r in shown
            if r.id not in self.bad_clips
            and any(k.endswith(".mask") and not m.any() for k, m in self.store.features(r, "main").items())
        ]
        if empty:
            self._say(
                f"{len(empty)} of {len(shown)} training clips with a subject show no face: {_listed(empty)}. "
                "Replace them, or leave them out."
            )

    def _refuse_copies(self) -> None:
        """A test clip under another name is no test."""
        used = {
            self.store.clip_key(r): r for r in self.records if r.split != "test" and r.qa and self._good(r)
        }
        for record in self.records:
            if record.split == "test" and self._good(record):
                other = used.get(self.store.clip_key(record))
                if other is not None:
                    raise UserError(
                        f"test clips must differ from others: {record.id!r} is a copy of {other.split} clip "
                        f"{other.id!r}. Remove one of them."
                    )

    def _good(self, record: Record) -> bool:
        return record.id not in self.bad_clips and record.path.is_file()

    def _examples(self, splits: tuple[Split, ...], variant: Variant = "main") -> Pairs:
        """Every question about the good clips of ``splits``, their features ready."""
        records = [r for r in self.records if r.split in splits and r.qa]
        if (splits, variant) not in self._prepared:
            self._prepare(records, " and ".join(splits), variant)
            self._prepared.add((splits, variant))
        good = [r for r in records if r.id not in self.bad_clips]
        if not good:
            bad = f", {len(records)} that cannot be read" if records else ""
            raise UserError(
                f"a {' or '.join(splits)} clip with questions is needed: got {len(good)}{bad}. Add some to "
                "the corpus, or repair them."
            )
        return [(record, example) for record in good for example in questions_of(record)]

    def _prepare(self, records: Sequence[Record], what: str, variant: Variant) -> None:
        """Fill the cache, name and count the bad clips."""
        before = set(self.bad_clips)
        missing = [r.path for r in records if not r.path.exists()]
        if missing and self.on_bad_clip == "error":
            raise UserError(
                f"{len(missing)} of {len(records)} {what} clips do not exist: {_listed(missing)}. "
                "Correct the paths (released JSON: data.source.init_args.root), or leave them out with "
                "--data.on_bad_clip skip."
            )
        new = []
        for record in records:
            with self._tolerant(record):
                if (record, variant) not in self.store:
                    new.append(record)
        with closing(self._decoded(new)) as clips:  # whatever happens, no worker stays
            hidden = not new or self._rank > 0
            name = f"{what} clips ({variant})"
            for record, clip in tqdm(clips, name, len(new), unit="clip", disable=hidden):
                with self._tolerant(record):
                    if isinstance(clip, UserError):
                        raise clip
                    self.store.features(record, variant, clip)
        if left_out := {i: why for i, why in self.bad_clips.items() if i not in before}:
            lines = [f"\n  {i}: {why}" for i, why in left_out.items()]
            more = len(lines) - MOST_LINES
            rest = f"\n  and {more} more: run.json of a run has them all" if more > 0 else ""
            told = "".join(lines[:MOST_LINES])
            self._say(f"{len(left_out)} of {len(records)} {what} clips are left out:{told}{rest}")

    def _decoded(self, records: Sequence[Record]) -> Decoded:
        if self.num_decode_workers and records:
            return decode_ahead(self.store.decoder, records, self.num_decode_workers)
        return ((record, None) for record in records)  # the store decodes

    @contextmanager
    def _tolerant(self, record: Record) -> Iterator[None]:
        """Refuse a bad clip, or remember it and go on, as ``on_bad_clip`` says."""
        try:
            yield
        except UserError as error:
            if self.on_bad_clip == "error":
                where = f"{record.where}: " if record.where else ""
                raise UserError(f"{where}{error} Or leave it out with --data.on_bad_clip skip.") from error
            self.bad_clips[record.id] = str(error)

    @property
    def _rank(self) -> int:
        return 0 if self.trainer is None else int(self.trainer.global_rank)

    def _say(self, text: str) -> None:
        """Once, on stderr."""
        if self._rank == 0 and text not in self._said:
            print(text, file=sys.stderr)
        self._said.add(text)


def questions_of(record: Record) -> Iterator[Example]:
    """The questions about a clip."""
    for number, qa in enumerate(record.qa):
        yield Example(
            id=f"{record.id}#{number}",
            clip_id=record.id,
            **vars(qa),
            presence=record.presence,
            origin=record.origin,
            look_alike=record.look_alike,
            clip_seconds=record.clip_seconds,
            source_id=record.source_id,
        )


def _listed(items: Sequence[object] | set[str], most: int = 5) -> str:
    names = sorted(map(str, items))
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
