"""Decoding: records -> clips, by the process that needs them or by workers that run ahead of it."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from pvchat.batch import Clip, Features
from pvchat.datamodules.cache import FeatureCache
from pvchat.datamodules.manifest import Record
from pvchat.datamodules.video import FramePolicy, clip_key, decode
from pvchat.errors import UserError

AHEAD = 2  # clips that each worker may be ahead


@dataclass(frozen=True)
class DecodeSettings:
    """How a clip becomes frames; see ``video.decode``."""

    num_frames: int
    max_px: int | None
    frame_policy: FramePolicy


class Decoder:
    """Clips of records, from the cache ``frames`` if there is one. Raises UserError for one that cannot be
    read. Small: workers get a copy."""

    def __init__(self, settings: DecodeSettings, frames: FeatureCache | None) -> None:
        self.settings, self.frames = settings, frames

    def __call__(self, record: Record) -> Clip:
        key = self.key(record)

        def read() -> Features:
            clip = decode(record.path, **self._arguments(record))
            return {"frames": torch.from_numpy(clip.frames), "times": torch.from_numpy(clip.times)}

        kept = read() if self.frames is None else self.frames.get_or_compute(key, read)
        return Clip(kept["frames"].numpy(), kept["times"].numpy(), key)

    def key(self, record: Record) -> str:
        """The same for clips that show the same: bytes of the file, time range, settings."""
        return clip_key(record.path, **self._arguments(record))

    def _arguments(self, record: Record) -> dict[str, Any]:
        return {"start_s": record.start_s, "end_s": record.end_s, **vars(self.settings)}


def decode_ahead(
    decoder: Decoder, records: Sequence[Record], num_workers: int
) -> Generator[tuple[Record, Clip | UserError | None], None, None]:
    """Each of ``records``, in order, with its clip or why there is none, decoded by ``num_workers`` processes
    that are a few clips ahead. Raises UserError when one of them dies."""
    loader: DataLoader[Clip | UserError] = DataLoader(
        _Clips(decoder, records),
        batch_size=None,
        num_workers=num_workers,
        prefetch_factor=AHEAD,
        generator=torch.Generator(),  # else a number is drawn from the global one
    )
    clips = iter(loader)
    for record in records:
        try:
            clip = next(clips)
        except RuntimeError as error:
            if "exited unexpectedly" not in str(error):
                raise
            raise UserError(
                f"a worker ended while it decoded clip {record.id!r} or one soon after it (out of memory, or "
                "a crash). Lower data.num_decode_workers; with 0 the main process decodes."
            ) from error
        yield record, clip


class _Clips(Dataset["Clip | UserError"]):
    def __init__(self, decoder: Decoder, records: Sequence[Record]) -> None:
        self.decoder, self.records = decoder, records

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> Clip | UserError:
        try:
            return self.decoder(self.records[index])
        except UserError as error:
            return error  # it is for the main process to refuse or to leave out
