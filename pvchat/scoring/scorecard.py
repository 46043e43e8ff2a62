"""What is known of a set of answers: numbers, breakdowns, controls, and what was wrong with the answers."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from pvchat.batch import QuestionType
from pvchat.evaluation import CONTROLS, ControlName, Prediction, signatures
from pvchat.metrics.functional.naming import Vocabulary
from pvchat.metrics.functional.presence import parse_presence
from pvchat.scoring.answers import FAULTS, Fault
from pvchat.scoring.breakdown import groups
from pvchat.scoring.control_check import Check, check_controls
from pvchat.scoring.estimates import Estimate, Numbers, by_clip, by_subject, estimate
from pvchat.scoring.scored_runs import known_numbers

Ratings = Mapping[str, Mapping[str, float | None]]
"""Metric -> id of the question -> what its answer was given, None where nothing was."""
Estimates = Mapping[str, Estimate]


@dataclass(frozen=True, kw_only=True)
class Scorecard:
    """``numbers`` by control, ``parts`` of the main answers by breakdown and group, ``pooled`` as
    ``summarise`` names them (all answers alike, no interval), ``ratings`` of a judge."""

    about: Mapping[str, str]
    subjects: tuple[str, ...]
    num_clips: int
    num_questions: int
    numbers: Mapping[ControlName, Estimates]
    parts: Mapping[str, Mapping[str, Estimates]]
    sizes: Mapping[str, Mapping[str, int]]
    pooled: Mapping[str, float]
    checks: Sequence[Check]
    ratings: Estimates
    unrated: Mapping[str, int]
    unparsed: Sequence[Prediction]
    faults: Sequence[Fault] = ()
    signatures: Mapping[str, str] = field(default_factory=signatures)

    @property
    def fault_counts(self) -> dict[str, int]:
        counts = Counter(fault.kind for fault in self.faults)
        return {kind: counts[kind] for kind in FAULTS if counts[kind]}

    def as_json(self) -> dict[str, Any]:
        listed = [{"id": p.id, "question": p.question, "answer": p.answer} for p in self.unparsed]
        checks = [
            {"control": c.control, "verdict": c.verdict, "sentence": c.sentence, "unit": c.unit}
            | {name: asdict(look) for name, look in c.looks.items()}
            for c in self.checks
        ]
        return {
            "about": dict(self.about),
            "subjects": list(self.subjects),
            "clips": self.num_clips,
            "questions": self.num_questions,
            "numbers": {control: _plain(some) for control, some in self.numbers.items()},
            "ratings": _plain(self.ratings),
            "unrated": dict(self.unrated),
            "breakdown": {
                part: {
                    name: {"answers": self.sizes[part][name], **_plain(some)} for name, some in named.items()
                }
                for part, named in self.parts.items()
            },
            "controls": checks,
            "pooled": dict(self.pooled),
            "signatures": dict(self.signatures),
            "fault_counts": self.fault_counts,
            "faults": [asdict(fault) for fault in self.faults],
            "unparsed": listed,
        }


def score(
    predictions: Sequence[Prediction],
    *,
    about: Mapping[str, str],
    threshold: float | None,
    scored: frozenset[ControlName] = frozenset(CONTROLS),
    vocabulary: Mapping[QuestionType, Vocabulary] | None = None,
    ratings: Ratings | None = None,
    signed: Mapping[str, str] | None = None,
    faults: Sequence[Fault] = (),
) -> Scorecard:
    """Score ``predictions`` under all their controls. Without a ``threshold``, which is calibrated on other
    clips, there are no calibrated numbers; ``scored`` are the controls whose presence scores count."""
    numbers = _numbers(threshold, scored, vocabulary or {})
    asked = {control: [p for p in predictions if p.control == control] for control in CONTROLS}
    main, parts = asked["main"], groups(asked["main"])
    rated = {name: {i: r for i, r in some.items() if r is not None} for name, some in (ratings or {}).items()}
    return Scorecard(
        about=about,
        subjects=tuple(by_subject(main)),
        num_clips=len(by_clip(main)),
        num_questions=len(main),
        numbers={control: estimate(some, numbers) for control, some in asked.items() if some},
        parts={
            part: {name: estimate(some, numbers) for name, some in named.items()}
            for part, named in parts.items()
        },
        sizes={part: {name: len(some) for name, some in named.items()} for part, named in parts.items()},
        pooled={f"{c}/{name}": v for c, some in asked.items() if some for name, v in numbers(some).items()},
        checks=check_controls(predictions, threshold=threshold or 0.0, scored=scored),
        ratings={name: _rating(name, some, main) for name, some in rated.items() if some},
        unrated={name: sum(p.id not in some for p in main) for name, some in rated.items()},
        unparsed=[p for p in main if p.polarity is not None and _is_unparsed(p)],
        faults=faults,
        signatures=signed or signatures(),
    )


def _numbers(
    threshold: float | None,
    scored: frozenset[ControlName],
    vocabulary: Mapping[QuestionType, Vocabulary],
) -> Numbers:
    """Metrics of answers under one control; those of single answers, which breakdowns share, are kept."""
    kept: dict[tuple[str, str], Mapping[str, float]] = {}

    def numbers(some: Sequence[Prediction]) -> Mapping[str, float]:
        if not some:
            return {}
        key = (some[0].control, some[0].id)
        single = len(some) == 1 and some[0].answer is not None
        if single and key in kept:
            return kept[key]
        found = known_numbers(some, threshold=threshold, scored=scored, vocabulary=vocabulary)
        if single:
            kept[key] = found
        return found

    return numbers


def _rating(name: str, rated: Mapping[str, float], main: Sequence[Prediction]) -> Estimate:
    def mean(some: Sequence[Prediction]) -> dict[str, float]:
        return {name: sum(rated[p.id] for p in some) / len(some)} if some else {}

    return estimate([p for p in main if p.id in rated], mean)[name]


def _is_unparsed(p: Prediction) -> bool:
    return p.answer is not None and None in parse_presence(p.answer, p.subjects).values()


def _plain(estimates: Estimates) -> dict[str, Any]:
    return {name: asdict(e) for name, e in estimates.items()}
