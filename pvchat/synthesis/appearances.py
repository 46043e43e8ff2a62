"""When is somebody on screen? Clips that are shown one after another, so that the truth is known exactly."""

import hashlib
import random
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from pvchat.datamodules.manifest import QA, Record
from pvchat.datamodules.video import clip_times, decode, is_photo
from pvchat.errors import UserError
from pvchat.subjects import mention
from pvchat.synthesis.writing import FPS, write_video

Intervals = list[tuple[float, float]]
"""Starts and ends, seconds."""
STEP_S = 0.5  # lengths are multiples of it: an answer is words, and a model sees a few frames of a clip


def join_clips(
    records: Sequence[Record], seconds: Sequence[float], path: Path, *, fps: int = FPS, size_px: int = 224
) -> Record:
    """Write the first ``seconds`` of each clip of ``records``, one after another, as the video ``path``;
    black around what is not square. Its questions are when each person appears; every boundary is one between
    two frames, so that the answers are exact. A clip that is shorter stands still at times.

    Raises UserError: clips of several splits or persons, or less than a frame of one."""
    counts = [round(s * fps) for s in seconds]
    labels = {(r.split, tuple(r.presence)) for r in records}
    if len(records) != len(seconds) or min(counts, default=0) < 1 or len(labels) != 1:
        raise UserError(
            "joined clips need a frame of each, one split and the same persons labelled: got "
            f"{len(records)} clips, {list(seconds)} seconds at {fps} fps, {sorted(map(str, labels))}."
        )
    frames = [frames_of(r, n, fps, size_px) for r, n in zip(records, counts, strict=True)]
    write_video(path, np.concatenate(frames), fps=fps)
    first = records[0]
    when = {name: appearances([r.presence[name] for r in records], counts, fps) for name in first.presence}
    presence = {name: bool(intervals) for name, intervals in when.items()}
    return Record(
        id=path.stem,
        path=path.absolute(),
        start_s=0.0,
        end_s=sum(counts) / fps,
        presence=presence,
        source_id="+".join(sorted({r.source_id for r in records})),
        origin="generated" if any(presence.values()) else "negative",
        split=first.split,
        licence=joined(r.licence for r in records),
        consent=joined(r.consent for r in records),
        qa=tuple(ask_when(when, sum(counts) / fps)),
    )


def appearances(present: Sequence[bool], counts: Sequence[int], fps: int) -> Intervals:
    """When somebody is on screen who is ``present`` in parts of ``counts`` frames."""
    intervals: Intervals = []
    start = 0
    for there, parts in groupby(zip(present, counts, strict=True), key=lambda part: part[0]):
        end = start + sum(count for _, count in parts)
        if there:
            intervals.append((start / fps, end / fps))
        start = end
    return intervals


def ask_when(when: Mapping[str, Intervals], clip_seconds: float) -> list[QA]:
    """A question for each person, answered as in "<tom> appears from 2 s to 3.5 s and from 5 s to 6 s.". It
    says how long the clip is, which who sees some of its frames cannot know."""
    qa = []
    for name, intervals in when.items():
        spans = " and ".join(f"from {start:.10g} s to {end:.10g} s" for start, end in intervals)
        said = f"appears {spans}" if spans else "does not appear in this video"
        question = f"When does {mention(name)} appear in this video of {clip_seconds:.10g} s?"
        qa.append(QA(question, f"{mention(name)} {said}.", "when", None, (name,)))
    return qa


def compose_appearances(
    records: Sequence[Record],
    subject: str,
    folder: Path,
    *,
    count: int,
    num_parts: int = 4,
    seconds: tuple[float, float] = (1.0, 3.0),
    seed: int = 0,
    fps: int = FPS,
    size_px: int = 224,
) -> list[Record]:
    """``count`` videos of ``num_parts`` clips drawn from ``records``, of one split, each clip ``seconds``
    (from, to) long, in steps of half a second. From none to all parts show ``subject``, each number as often
    as the others; which parts is drawn. No clip is twice in a video, and which one is shown does not depend
    on where. Same arguments, same videos; the draws of one split say nothing about those of another."""
    sides = {there: [r for r in records if r.presence.get(subject) is there] for there in (True, False)}
    if min(map(len, sides.values())) < num_parts or not 0 < seconds[0] <= seconds[1]:
        raise UserError(
            f"videos of {num_parts} clips need as many with {subject!r} and without, and 0 < shortest <= "
            f"longest: got {len(sides[True])} with, {len(sides[False])} without, {seconds} seconds, of the "
            f"{records[0].split if records else 'no'} clips. Take fewer parts, or add clips."
        )
    made = []
    drawn = f"{seed} {records[0].split} {subject}"
    numbers = [n % (num_parts + 1) for n in range(count)]
    random.Random(drawn).shuffle(numbers)
    for number, shown in enumerate(numbers):
        draw = random.Random(f"{drawn} {number}")
        parts = draw.sample(sides[True], shown) + draw.sample(sides[False], num_parts - shown)
        draw.shuffle(parts)
        steps = [max(1, round(draw.uniform(*seconds) / STEP_S)) for _ in parts]
        lengths = [round(n * STEP_S * fps) / fps for n in steps]
        name = hashlib.sha256(f"{seed} {subject} {number} {[p.id for p in parts]}".encode()).hexdigest()[:12]
        made.append(join_clips(parts, lengths, folder / f"when-{name}.mp4", fps=fps, size_px=size_px))
    return made


def frames_of(record: Record, count: int, fps: int, size_px: int) -> npt.NDArray[np.uint8]:
    """``count`` frames (count, size_px, size_px, 3) of the first ``count / fps`` seconds of a clip."""
    start, end = record.start_s, record.end_s
    if not is_photo(record.path):
        start = start or 0.0
        last = float(clip_times(record.path)[-1]) if end is None else end
        end = min(start + count / fps, max(last, start + 1 / fps))
    clip = decode(record.path, num_frames=count, start_s=start, end_s=end)
    return np.stack([np.asarray(_square(Image.fromarray(frame), size_px)) for frame in clip.frames])


def _square(image: Image.Image, size_px: int) -> Image.Image:
    return ImageOps.pad(image, (size_px, size_px), Image.Resampling.BICUBIC)


def joined(texts: Iterable[str]) -> str:
    """What is said of several clips, each once."""
    return "; ".join(sorted(set(texts)))
