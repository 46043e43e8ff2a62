"""Filmed clips become a corpus: records, questions, manifest, contact sheet, statistics."""

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from pvchat.datamodules.manifest import Record, write_manifest
from pvchat.datamodules.video import decode
from pvchat.synthesis.contact_sheet import FRAMES, Reject, Sheet, write_contact_sheet
from pvchat.synthesis.pipeline.filming import CLIPS, Clip
from pvchat.synthesis.pipeline.takes import A, S, Studio
from pvchat.synthesis.questions import QuestionPlan, fill_questions
from pvchat.synthesis.questions.witnesses import Witness
from pvchat.synthesis.splits import Shared, check_leaks
from pvchat.synthesis.writing import whole

MANIFEST, STATISTICS = "manifest.jsonl", "statistics.json"


@dataclass
class Corpus:
    """What was made so far. ``witnesses``: clip id -> who is on screen -> what is known of them;
    ``clips`` and ``rejected`` carry histories; ``rejects`` are pictures that were not used before filming;
    ``lost`` scenes failed in every attempt."""

    subjects: tuple[str, ...]
    records: list[Record] = field(default_factory=list)
    witnesses: dict[str, dict[str | None, Witness]] = field(default_factory=dict)
    clips: list[Clip[Any, Any]] = field(default_factory=list)
    rejected: list[Clip[Any, Any]] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    lost: int = 0


def record_of(clip: Clip[A, S], studio: Studio[A, S], subjects: Sequence[str]) -> Record:
    """The manifest's line of a clip, without questions."""
    take, told = clip.take, studio.tell(clip.take.scene)
    return Record(
        id=take.id,
        path=clip.path,
        presence={name: name == take.subject for name in subjects},
        source_id=take.actor.source_id,
        background=told.background,
        clothes=told.clothes,
        motion=told.motion,
        origin="negative" if take.subject is None else studio.origin,
        split=take.split,
        licence=take.actor.licence,
        consent=take.actor.consent,
    )


def finish(
    corpus: Corpus, folder: Path, *, plan: QuestionPlan, seed: int, allow: Collection[Shared] = ()
) -> Path:
    """Ask, check that the test was not seen before, and write everything but the clips below ``folder``; the
    manifest last: it says that the corpus is whole. Raises UserError for a leak."""
    check_leaks(corpus.records, allow=allow)
    records = fill_questions(corpus.records, corpus.witnesses, seed=seed, plan=plan)
    numbers = statistics(corpus, records)
    with whole(folder / STATISTICS) as temporary:
        temporary.write_text(json.dumps(numbers, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    write_contact_sheet(folder, records, _sheet(corpus, numbers))
    write_manifest(folder / MANIFEST, records)
    used = {record.path for record in records}
    for path in (folder / CLIPS).glob("*.mp4"):  # clips of scenes that were replaced
        if path not in used:
            path.unlink()
            path.with_suffix(".json").unlink(missing_ok=True)
    return folder / MANIFEST


def statistics(corpus: Corpus, records: Sequence[Record]) -> dict[str, Any]:
    """Counts, and the identity distances of clips: of each subject's own and of other people's."""
    asked = [qa for record in records for qa in record.qa]
    return {
        "clips": len(records),
        "by_split": dict(Counter(r.split for r in records)),
        "by_origin": dict(Counter(r.origin for r in records)),
        "questions": len(asked),
        "by_type": dict(Counter(qa.type for qa in asked)),
        "by_polarity": dict(Counter(qa.polarity for qa in asked if qa.polarity)),
        "gate": _gate_rates(corpus),
        "identity": {name: _distances(corpus.clips, name) for name in corpus.subjects},
        "scenes_lost": corpus.lost,
    }


def sentences(numbers: Mapping[str, Any]) -> list[str]:
    """What the gate found, for people."""
    lines = [
        f"Identity gate, {name}: {rate['rejected']} of {rate['made']} clips rejected."
        for name, rate in numbers["gate"].items()
    ]
    for name, away in numbers["identity"].items():
        if away["own_mean"] is not None and away["nearest_other"] is not None:
            lines.append(
                f"Distance from {name}: own clips {away['own_mean']:.2f} on average and at most "
                f"{away['own_most']:.2f}, nearest other person {away['nearest_other']:.2f}."
            )
    if numbers["scenes_lost"]:
        lines.append(f"Scenes left out because a clip was rejected each time: {numbers['scenes_lost']}.")
    return lines


def _gate_rates(corpus: Corpus) -> dict[str, dict[str, int]]:
    made: Counter[str] = Counter()
    rejected: Counter[str] = Counter()
    for clip in (*corpus.clips, *corpus.rejected):
        made[clip.history.adapter.name] += bool(clip.history.scores)
        rejected[clip.history.adapter.name] += not clip.history.passed
    return {name: {"made": made[name], "rejected": rejected[name]} for name in made if made[name]}


def _distances(clips: Sequence[Clip[Any, Any]], name: str) -> dict[str, float | None]:
    known = [
        (clip.take.subject == name, score.distance)
        for clip in clips
        if (score := clip.history.scores.get(name)) is not None and score.distance is not None
    ]
    own, others = ([d for is_own, d in known if is_own is side] for side in (True, False))
    return {
        "own_mean": round(fmean(own), 4) if own else None,
        "own_most": max(own, default=None),
        "nearest_other": min(others, default=None),
    }


def _sheet(corpus: Corpus, numbers: Mapping[str, Any]) -> Sheet:
    remarks = {
        clip.take.id: ", ".join(
            f"face {score.distance:.2f} from {name}'s"
            for name, score in clip.history.scores.items()
            if score.distance is not None
        )
        for clip in corpus.clips
    }
    rejects = list(corpus.rejects)
    for clip in corpus.rejected:
        if not clip.history.passed:
            frames = decode(clip.path, num_frames=FRAMES).frames
            rejects.append(Reject(clip.take.id, clip.history.reason, frames))
    notes = [*sentences(numbers), *corpus.notes]
    return Sheet(f"Corpus of {', '.join(corpus.subjects)}", remarks, rejects, notes)
