"""This-Is-My (Yeh et al., CVPR 2023): named persons, pets and things in segments of videos.

``this-is-my-dataset/segments.csv`` (time ranges; anchors name who they show), ``this-is-my_test-set.json``
(anchor -> segments that show the same) and ``this-is-my_eval-captions.csv``; clips in ``train_segment`` and
``eval_segment`` as ``<segment>.mp4``, or whole videos in ``train_video``, ``eval_video``."""

import csv
import math
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from pvchat.datamodules.manifest import QA, Record, Split
from pvchat.datamodules.sources.concepts import ConceptSource, read_object
from pvchat.datamodules.sources.wording import opened
from pvchat.errors import UserError
from pvchat.subjects import mention

FOLDER = "this-is-my-dataset"
SEGMENTS, SHOWN, CAPTIONS = "segments.csv", "this-is-my_test-set.json", "this-is-my_eval-captions.csv"
_COLUMNS = ("segment_id", "is_anchor", "instance_name", "video_id", "start_time", "end_time")


class _Segment(NamedTuple):
    id: str
    anchor: str  # whom it introduces, or ""
    video: str
    start_s: float
    end_s: float
    where: str


class ThisIsMy(ConceptSource):
    """The folder of the data set. As there, all segments of videos with an anchor are trained on (anchors as
    ``reference``) and those of other videos are for testing. ``distractors``: also the segments of these
    videos that show nobody by name."""

    what = "video"

    def __init__(
        self, *, root: str | Path, subjects: list[str] | None = None, distractors: bool = False
    ) -> None:
        super().__init__(root=root, subjects=subjects)
        self.distractors = distractors

    def concepts(self) -> Iterable[str]:
        return self._shown

    def read(self) -> list[Record]:
        chosen = dict.fromkeys(s for anchor, some in self._anchors.items() for s in (anchor, *some))
        for segment in self._segments.values():
            if segment.anchor and segment.id not in self._anchors:
                self.leave_out("named anchors without segments", segment.anchor)
        trained = {self._segments[s].video for s in self._anchors}
        videos = {self._segments[s].video for s in chosen}
        others = [s.id for s in self._segments.values() if s.video in videos and s.id not in chosen]
        if not self.distractors:
            for name in others:
                self.leave_out("distractors (distractors: true adds them)", name)
            others = []
        return [
            self._record(self._segments[s], trained, *self._captions.get(s, ())) for s in [*chosen, *others]
        ]

    def _record(self, segment: _Segment, trained: set[str], *qa: QA) -> Record:
        shown = [name for name, some in self._shown.items() if segment.id in some]
        split: Split = "train" if segment.video in trained else "test"
        if segment.id in self._anchors:
            split = "reference"
        path, cut = self._file(segment, "eval" if split == "test" else "train")
        return self.record(
            segment.id,
            path,
            shown=shown,
            split=split,
            qa=qa,
            source_id=segment.video,
            start_s=segment.start_s if cut else None,
            end_s=segment.end_s if cut else None,
            where=segment.where,
        )

    def _file(self, segment: _Segment, part: str) -> tuple[Path, bool]:
        """The clip of a segment, or the video from which it is to be cut."""
        clip = self.root / f"{part}_segment" / f"{segment.id}.mp4"
        video = None if clip.is_file() else self._videos.get((part, segment.video))
        return (clip, False) if video is None else (video, True)

    @cached_property
    def _videos(self) -> dict[tuple[str, str], Path]:
        """Whole videos, ``<11 characters of YouTube>_<title>.mp4``."""
        files = [(part, p) for part in ("train", "eval") for p in (self.root / f"{part}_video").glob("*.mp4")]
        return {(part, path.name[:11]): path for part, path in sorted(files)}

    @cached_property
    def _segments(self) -> dict[str, _Segment]:
        found: dict[str, _Segment] = {}
        for segment in self._read_segments():
            if segment.id in found:
                before = found[segment.id].where
                raise UserError(f"{segment.where}: segment_id {segment.id!r} is used before, in {before}.")
            found[segment.id] = segment
        return found

    def _read_segments(self) -> Iterator[_Segment]:
        for where, row in _rows(self.root / FOLDER / SEGMENTS, _COLUMNS):
            if row["is_anchor"] not in ("True", "False"):
                raise UserError(f"{where}: is_anchor must be True or False: got {row['is_anchor']!r}.")
            name = row["instance_name"].strip() if row["is_anchor"] == "True" else ""
            start, end = (_seconds(row, key, where) for key in ("start_time", "end_time"))
            yield _Segment(row["segment_id"], name, row["video_id"], start, end, where)

    @cached_property
    def _anchors(self) -> dict[str, list[str]]:
        """Anchor -> the other segments that show the same."""
        file = self.root / FOLDER / SHOWN
        anchors = read_object(file)
        for anchor, some in anchors.items():
            known = self._segments.get(anchor)
            texts = isinstance(some, list) and all(isinstance(s, str) for s in some)
            if known is None or not known.anchor or not texts:
                raise UserError(f"{file}, {anchor!r}: an anchor of {SEGMENTS} must hold a list of segments.")
            if unknown := [s for s in some if s not in self._segments]:
                raise UserError(f"{file}, {anchor!r}: {SEGMENTS} lacks the segment {unknown[0]!r}.")
        return anchors

    @cached_property
    def _shown(self) -> dict[str, set[str]]:
        """Who -> the segments that show them."""
        found: dict[str, set[str]] = {}
        for anchor, some in self._anchors.items():
            found.setdefault(self._segments[anchor].anchor, set()).update([anchor, *some])
        return found

    @cached_property
    def _captions(self) -> dict[str, list[QA]]:
        """Captions of segments, in which ``*`` is who it is about."""
        found: dict[str, list[QA]] = {}
        file = self.root / FOLDER / CAPTIONS
        if not file.is_file():
            self.leave_out("files of captions that are missing", CAPTIONS)
            return found
        for where, row in _rows(file, ("segs", "item", "caption")):
            name, segment = row["item"], row["segs"]
            if segment not in self._shown.get(name, ()):
                raise UserError(f"{where}: {SHOWN} does not say that {segment!r} shows {name!r}.")
            if text := row["caption"].strip():
                question = f"Please caption this video of {mention(name)}."
                found.setdefault(segment, []).append(
                    opened(question, text.replace("*", mention(name)), [name])
                )
        return found


def _rows(file: Path, columns: tuple[str, ...]) -> Iterator[tuple[str, dict[str, str]]]:
    """Rows of a CSV file with the line they stand on."""
    try:
        with open(file, newline="", encoding="utf-8-sig") as lines:
            reader = csv.DictReader(lines, restval="")
            if missing := [c for c in columns if c not in (reader.fieldnames or ())]:
                raise UserError(f"{file} must have a column {missing[0]!r}: got {reader.fieldnames}.")
            for row in reader:
                yield f"{file.name} line {reader.line_num}", row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        if isinstance(error, csv.Error):
            why = f"it is malformed ({error})"
        raise UserError(f"{file} cannot be read: {why}.") from error


def _seconds(row: dict[str, str], key: str, where: str) -> float:
    try:
        value = float(row[key])
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UserError(f"{where}: {key} must be seconds: got {row[key]!r}.")
    return value
