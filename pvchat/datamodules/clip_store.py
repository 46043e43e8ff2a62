"""Records -> features, through two caches: decoded frames, and what an extractor makes of them.

Frames are kept too because decoding is as slow as extracting: 0.1-1.5 s a clip for four frames (it runs
through the file), 5 ms when kept, at 0.6-11 MB a clip. So another extractor, or the variant with blanked
faces, never decodes again."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from pvchat.batch import Clip, FeatureExtractor, Features
from pvchat.datamodules.cache import FeatureCache
from pvchat.datamodules.manifest import Record
from pvchat.datamodules.video import FramePolicy, clip_key, decode

Variant = Literal["main", "face_blanked"]


@dataclass(frozen=True)
class DecodeSettings:
    """How a clip becomes frames; see ``video.decode``."""

    num_frames: int
    max_px: int | None
    frame_policy: FramePolicy


class ClipStore:
    """Features of clips, decoded and computed once. Raises UserError for a clip that cannot be read."""

    def __init__(
        self,
        root: str | Path,
        *,
        extractor: FeatureExtractor,
        settings: DecodeSettings,
        keep_frames: bool = True,
    ) -> None:
        self.extractor, self.settings, self.keep_frames = extractor, settings, keep_frames
        self.frames, self.cache = FeatureCache(Path(root) / "frames"), FeatureCache(Path(root) / "features")

    def __contains__(self, question: tuple[Record, Variant]) -> bool:
        record, variant = question
        return self._key(self.clip_key(record), variant) in self.cache

    def features(self, record: Record, variant: Variant = "main") -> Features:
        """Features of every frame of the clip, ``variant`` of it."""
        key = self.clip_key(record)

        def compute() -> Features:
            return self.extractor(self._clip(record, key), blank_faces=variant == "face_blanked")

        return self.cache.get_or_compute(self._key(key, variant), compute)

    def clip_key(self, record: Record) -> str:
        """The same for clips that show the same: bytes of the file, time range, settings."""
        return clip_key(record.path, **self._arguments(record))

    def _key(self, clip: str, variant: Variant) -> str:
        return f"{clip} {variant} {self.extractor.fingerprint}"

    def _arguments(self, record: Record) -> dict[str, Any]:
        return {"start_s": record.start_s, "end_s": record.end_s, **vars(self.settings)}

    def _clip(self, record: Record, key: str) -> Clip:
        def read() -> Features:
            clip = decode(record.path, **self._arguments(record))
            return {"frames": torch.from_numpy(clip.frames), "times": torch.from_numpy(clip.times)}

        kept = self.frames.get_or_compute(key, read) if self.keep_frames else read()
        return Clip(kept["frames"].numpy(), kept["times"].numpy(), key)
