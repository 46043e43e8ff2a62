"""Filmed clips become a corpus: records, questions, manifest, contact sheet, statistics."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pvchat.batch import QuestionType
from pvchat.datamodules.manifest import Record, write_manifest
from pvchat.endpoint.replies import noting
from pvchat.synthesis.contact_sheet import Reject
from pvchat.synthesis.pipeline.filming import CLIPS, Clip
from pvchat.synthesis.pipeline.history import note_replies
from pvchat.synthesis.pipeline.overview import write_overview
from pvchat.synthesis.pipeline.takes import A, S, Studio
from pvchat.synthesis.questions import QuestionPlan, fill_questions
from pvchat.synthesis.questions.witnesses import Witness
from pvchat.synthesis.splits import Shared, check_leaks

MANIFEST = "manifest.jsonl"


@dataclass
class Corpus:
    """What was made so far. ``witnesses``: clip id -> who is on screen -> what is known of them;
    ``rejects`` are pictures that were not used before filming; ``lost`` scenes failed in every attempt."""

    subjects: tuple[str, ...]
    records: list[Record] = field(default_factory=list)
    witnesses: dict[str, dict[str | None, Witness]] = field(default_factory=dict)
    rejects: list[Reject] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    lost: int = 0


def record_of(
    clip: Clip[A, S], studio: Studio[A, S], subjects: Sequence[str], look_alikes: Collection[str] = ()
) -> Record:
    """The manifest's line of a clip, without questions. ``look_alikes``: persons chosen for looking like a
    subject."""
    take, told = clip.take, studio.tell(clip.take.scene)
    return Record(
        id=take.id,
        path=clip.path,
        presence={name: name == take.subject for name in subjects},
        source_id=take.actor.source_id,
        background=told.background,
        clothes=told.clothes,
        motion=told.motion,
        look_alike=True if take.subject is None and take.actor.person in look_alikes else None,
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
    said: dict[str, set[str]] = {clip: set() for clip in corpus.witnesses}
    witnesses = {
        clip: {name: _Noted(witness, said[clip]) for name, witness in known.items()}
        for clip, known in corpus.witnesses.items()
    }
    records = fill_questions(corpus.records, witnesses, seed=seed, plan=plan)
    for record in records:
        note_replies(record.path.with_suffix(".json"), said.get(record.id, ()))
    write_overview(folder, records, rejects=corpus.rejects, notes=corpus.notes, scenes_lost=corpus.lost)
    write_manifest(folder / MANIFEST, records)
    used = {record.path for record in records}
    for path in (folder / CLIPS).glob("*.mp4"):  # clips of scenes that were replaced
        if path not in used:
            path.unlink()
            path.with_suffix(".json").unlink(missing_ok=True)
    return folder / MANIFEST


@dataclass(frozen=True)
class _Noted:
    """``witness``; the ``keys`` of replies of endpoints that go into the answers are kept."""

    witness: Witness
    keys: set[str]

    def answer(
        self, kind: QuestionType, question: str, name: str | None, rng: np.random.Generator
    ) -> str | None:
        with noting() as keys:
            told = self.witness.answer(kind, question, name, rng)
        self.keys.update(keys)
        return told
