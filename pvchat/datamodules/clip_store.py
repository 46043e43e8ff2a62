"""Records -> features, through two caches: decoded frames, and what an extractor makes of them.

Frames are kept too because decoding is as slow as extracting: 0.1-1.5 s a clip for four frames (it runs
through the file), 5 ms when kept, at 0.6-11 MB a clip. So another extractor, or the variant with blanked
faces, never decodes again."""

from pathlib import Path
from typing import Literal

from pvchat.batch import Clip, FeatureExtractor, Features
from pvchat.datamodules.cache import FeatureCache
from pvchat.datamodules.decoding import Decoder, DecodeSettings
from pvchat.datamodules.manifest import Record

Variant = Literal["main", "face_blanked"]
BLANKING = 2
"""Raise it when heads are painted over in another way."""


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
        self.extractor, self.settings = extractor, settings
        self.frames, self.cache = FeatureCache(Path(root) / "frames"), FeatureCache(Path(root) / "features")
        self.decoder = Decoder(settings, self.frames if keep_frames else None)

    def __contains__(self, question: tuple[Record, Variant]) -> bool:
        record, variant = question
        return self._key(self.clip_key(record), variant) in self.cache

    def features(self, record: Record, variant: Variant = "main", clip: Clip | None = None) -> Features:
        """Features of every frame of the clip, ``variant`` of it; of ``clip`` if it is decoded already."""

        def compute() -> Features:
            return self.extractor(clip or self.decoder(record), blank_faces=variant == "face_blanked")

        return self.cache.get_or_compute(self._key(self.clip_key(record), variant), compute)

    def clip_key(self, record: Record) -> str:
        """The same for clips that show the same: bytes of the file, time range, settings."""
        return self.decoder.key(record)

    def _key(self, clip: str, variant: Variant) -> str:
        name = f"{variant} {BLANKING}" if variant == "face_blanked" else variant
        return f"{clip} {name} {self.extractor.fingerprint}"
