"""What is in a corpus, to look at and to count: contact sheet and statistics."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from pvchat.datamodules.manifest import Record
from pvchat.datamodules.video import decode
from pvchat.synthesis.contact_sheet import FRAMES, Reject, Sheet, write_contact_sheet
from pvchat.synthesis.pipeline.filming import REJECTS
from pvchat.synthesis.pipeline.history import History, read_history
from pvchat.synthesis.writing import write_text

STATISTICS = "statistics.json"


def write_overview(
    folder: Path,
    records: Sequence[Record],
    *,
    rejects: Sequence[Reject] = (),
    notes: Sequence[str] = (),
    scenes_lost: int = 0,
) -> dict[str, Any]:
    """Write the contact sheet and ``statistics.json`` of the corpus in ``folder``; returns the statistics.
    ``rejects``: pictures that were not used before filming; clips that were not are found in ``folder``."""
    histories = {r.id: h for r in records if (h := read_history(r.path.with_suffix(".json"))) is not None}
    failed = [
        h for path in sorted((folder / REJECTS).glob("*.json")) if (h := read_history(path)) is not None
    ]
    numbers = _statistics(records, histories, failed) | {"scenes_lost": scenes_lost, "notes": list(notes)}
    remarks = {
        clip: ", ".join(
            f"face {s.distance:.2f} from {n}'s" for n, s in h.scores.items() if s.distance is not None
        )
        for clip, h in histories.items()
    }
    unused = [
        *rejects,
        *(
            Reject(h.id, h.reason, decode(folder / REJECTS / f"{h.id}.mp4", num_frames=FRAMES).frames)
            for h in failed
        ),
    ]
    title = f"Corpus of {', '.join(records[0].presence)}"
    write_contact_sheet(folder, records, Sheet(title, remarks, unused, sentences(numbers)))
    write_text(folder / STATISTICS, json.dumps(numbers, indent=1, ensure_ascii=False) + "\n")
    return numbers


def sentences(numbers: Mapping[str, Any]) -> list[str]:
    """What the gate found, and the notes, for people."""
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
    return [*lines, *numbers["notes"]]


def _statistics(
    records: Sequence[Record], histories: Mapping[str, History], failed: Sequence[History]
) -> dict[str, Any]:
    asked = [qa for record in records for qa in record.qa]
    return {
        "clips": len(records),
        "by_split": dict(Counter(r.split for r in records)),
        "by_origin": dict(Counter(r.origin for r in records)),
        "questions": len(asked),
        "by_type": dict(Counter(qa.type for qa in asked)),
        "by_polarity": dict(Counter(qa.polarity for qa in asked if qa.polarity)),
        "gate": _gate_rates([*histories.values(), *failed]),
        "identity": {name: _distances(records, histories, name) for name in records[0].presence},
    }


def _gate_rates(histories: Sequence[History]) -> dict[str, dict[str, int]]:
    judged = [h for h in histories if h.scores]
    made, rejected = (
        Counter(h.adapter.name for h in some) for some in (judged, [h for h in judged if not h.passed])
    )
    return {name: {"made": count, "rejected": rejected[name]} for name, count in made.items()}


def _distances(
    records: Sequence[Record], histories: Mapping[str, History], name: str
) -> dict[str, float | None]:
    """Of clips that show ``name``, and of all others; the gate's, so real clips are not among them."""
    known = [
        (r.presence[name], score.distance)
        for r in records
        if r.id in histories
        and (score := histories[r.id].scores.get(name)) is not None
        and score.distance is not None
    ]
    own, others = ([d for is_own, d in known if is_own is side] for side in (True, False))
    return {
        "own_mean": round(fmean(own), 4) if own else None,
        "own_most": max(own, default=None),
        "nearest_other": min(others, default=None),
    }
