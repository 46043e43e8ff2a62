"""What a test is: answers and presence scores under each control, and the numbers made of them."""

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol, get_args

import torch
from torch import Tensor
from torchmetrics import Metric

from pvchat.batch import Batch, Example, QuestionType, TrainingClip
from pvchat.metrics import (
    CorpusBLEU,
    IntervalIoU,
    NamingAccuracy,
    PresenceAccuracy,
    PresenceCalibration,
    PresenceRanking,
)
from pvchat.metrics.functional.intervals import parse_intervals
from pvchat.metrics.functional.naming import Vocabulary, named
from pvchat.metrics.functional.presence import parse_presence
from pvchat.metrics.functional.ranking import calibrate_threshold
from pvchat.metrics.functional.text import bleu_signature
from pvchat.modules.video_chat import Control

ControlName = Literal["main", "text_only", "face_blanked", "base_model", "no_subject_tokens", "other_subject"]
CONTROLS: tuple[ControlName, ...] = get_args(ControlName)
OPEN_TYPES = ("appearance", "action", "location", "general")
BLEU_ORDERS = (1, 4)

RANKING = {
    "auc": "presence_auc",
    "fpr95": "presence_fpr95",
    "balanced_accuracy": "score_balanced_accuracy",
    "balanced_accuracy_calibrated": "calibrated_balanced_accuracy",
}


class Respondent(Protocol):
    """What a test needs of a system: ``VideoChat``, or a baseline."""

    def study(self, clips: Iterable[TrainingClip]) -> None:
        """See the training clips, before anything is asked. Trained weights are not learned here."""
        ...

    def presence_scores(self, batch: Batch, *, control: Control = "main") -> Tensor:
        """How sure it is of a yes (B,): higher is surer."""
        ...

    def answer(self, batch: Batch, *, control: Control = "main", max_new_tokens: int = 32) -> list[str]:
        """Written answers, deterministic; persons are spelled ``<name>`` or by their plain name."""
        ...

    def other_subject(self) -> AbstractContextManager[None]:
        """Inside, what it knows of a person is another's."""
        ...


@dataclass(frozen=True)
class Prediction:
    """One question under one control. ``answer`` is None where only the score was asked for; ``score`` is
    the logit of "Yes" minus that of "No" as first word, rounded so that the batch cannot break ties.
    ``look_alike``, ``clip_seconds``: as of ``Example``."""

    id: str
    clip_id: str
    control: ControlName
    type: str
    origin: str
    subjects: tuple[str, ...]
    polarity: str | None
    presence: dict[str, bool]
    question: str
    reference: str
    answer: str | None
    score: float
    look_alike: bool | None = None
    clip_seconds: float | None = None

    @classmethod
    def of(cls, e: Example, control: ControlName, answer: str | None, score: float) -> "Prediction":
        """What was said to the question ``e``."""
        return cls(
            id=e.id,
            clip_id=e.clip_id,
            control=control,
            type=e.type,
            origin=e.origin,
            subjects=e.subjects,
            polarity=e.polarity,
            presence=dict(e.presence),
            question=e.question,
            reference=e.answer,
            answer=answer,
            score=score,
            look_alike=e.look_alike,
            clip_seconds=e.clip_seconds,
        )

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "presence": dict(self.presence)}


def predict(
    chat: Respondent,
    batch: Batch,
    control: ControlName,
    *,
    base_model: AbstractContextManager[None] | None = None,
    generate: bool = True,
    max_new_tokens: int = 32,
) -> list[Prediction]:
    """Ask every question of ``batch`` under ``control``; face-blanked batches come so from the loader."""
    swap: AbstractContextManager[None] = nullcontext()
    if control == "other_subject":
        swap = chat.other_subject()
    elif control == "base_model" and base_model is not None:
        swap = base_model
    shown = control if control in ("text_only", "no_subject_tokens") else "main"
    with swap:
        scores = [round(s, 4) for s in chat.presence_scores(batch, control=shown).tolist()]
        answers: Sequence[str | None] = (
            chat.answer(batch, control=shown, max_new_tokens=max_new_tokens)
            if generate
            else [None] * len(batch)
        )
    return [
        Prediction.of(e, control, answer, score)
        for e, answer, score in zip(batch.examples, answers, scores, strict=True)
    ]


def calibrate(chat: Respondent, batches: Iterable[Batch]) -> float:
    """Threshold on the presence score that is best on ``batches`` (validation or training material)."""
    scores: list[float] = []
    truth: list[bool] = []
    for batch in batches:
        scores += chat.presence_scores(batch).tolist()
        truth += [e.polarity == "yes" for e in batch.examples]
    return calibrate_threshold(scores, truth)


def summarise(
    predictions: Sequence[Prediction],
    *,
    threshold: float,
    vocabulary: Mapping[QuestionType, Vocabulary] | None = None,
) -> dict[str, float]:
    """Flat metrics ``{control}/{metric}`` of existence questions (answers, scores), of when and who, of
    others, and BLEU of every written answer; with a ``vocabulary`` of each type also what answers name."""
    result: dict[str, float] = {}
    for control in CONTROLS:
        chosen = [p for p in predictions if p.control == control]
        numbers = _existence([p for p in chosen if p.polarity is not None], threshold)
        numbers |= _text(chosen)
        numbers |= _when([p for p in chosen if p.type == "when"])
        numbers |= _who([p for p in chosen if p.type == "who"])
        numbers |= _naming(chosen, vocabulary or {})
        result |= {f"{control}/{name}": value for name, value in numbers.items()}
    return result


def _existence(predictions: Sequence[Prediction], threshold: float) -> dict[str, float]:
    if not predictions:
        return {}
    numbers: dict[str, float] = {"existence_questions": float(len(predictions))}
    beside = [p for p in predictions if p.polarity == "no" and any(p.presence.values())]
    if all(p.answer is not None for p in predictions):
        numbers |= {f"presence_{name}": value for name, value in _answers(predictions).items()}
        if beside:
            numbers["presence_accuracy_no_beside_another"] = _answers(beside)["accuracy_no"]
    if beside:
        no = sum(p.score <= threshold for p in beside) / len(beside)
        numbers["calibrated_accuracy_no_beside_another"] = no
    numbers |= {RANKING[name]: value for name, value in _ranked(predictions, threshold).items()}
    alike = [p for p in predictions if p.polarity == "yes" or p.look_alike]
    if "fpr95" in (ranked := _ranked(alike, threshold)) and any(p.look_alike for p in alike):
        numbers["presence_fpr95_look_alikes"] = ranked["fpr95"]
    for name, shift in (("presence", 0.0), ("calibrated", threshold)):
        calibration = PresenceCalibration(threshold=shift)
        calibration.update(*_scored(predictions))
        numbers |= {f"{name}_{key}": value for key, value in _computed(calibration).items()}
    return numbers


def _scored(predictions: Sequence[Prediction]) -> tuple[list[float], list[bool]]:
    return [p.score for p in predictions], [p.polarity == "yes" for p in predictions]


def _ranked(predictions: Sequence[Prediction], threshold: float) -> dict[str, float]:
    ranking = PresenceRanking(threshold=threshold)
    ranking.update(*_scored(predictions))
    return _computed(ranking)


def _answers(predictions: Sequence[Prediction]) -> dict[str, float]:
    metric = PresenceAccuracy()
    metric.update(
        [p.answer or "" for p in predictions],
        [p.presence for p in predictions],
        [p.subjects for p in predictions],
    )
    return _computed(metric)


def _computed(metric: Metric) -> dict[str, float]:
    numbers = {name: float(value) for name, value in metric.compute().items()}
    return {name: value for name, value in numbers.items() if not math.isnan(value)}


def signatures() -> dict[str, str]:
    """How the numbers of ``summarise`` that depend on tools came about."""
    return {f"bleu{order}": bleu_signature(max_order=order) for order in BLEU_ORDERS}


def _text(predictions: Sequence[Prediction]) -> dict[str, float]:
    """Open questions are counted apart by whether all they ask about are on screen: what is known of the
    absent is a refusal from a template, which is easy and would hide that nothing else is right."""
    answered = [p for p in predictions if p.answer is not None]
    asked = [p for p in answered if p.type != "existence"]
    present = [p for p in asked if _is_present(p)]
    absent = [p for p in asked if not _is_present(p)]
    numbers: dict[str, float] = {}
    for kind in OPEN_TYPES:
        shown, hidden = ([p for p in side if p.type == kind] for side in (present, absent))
        if shown:
            numbers[f"{kind}_exact"] = sum(map(_is_exact, shown)) / len(shown)
        if hidden:
            numbers[f"{kind}_refused"] = sum(map(_is_refused, hidden)) / len(hidden)
    for side, chosen in (("", answered), ("_present", present), ("_absent", absent)):
        if chosen:
            pair = [p.answer or "" for p in chosen], [p.reference for p in chosen]
            for order in BLEU_ORDERS:
                bleu = CorpusBLEU(max_order=order)
                bleu.update(*pair)
                numbers[f"bleu{order}{side}"] = float(bleu.compute())
    return numbers


def _naming(
    predictions: Sequence[Prediction], vocabulary: Mapping[QuestionType, Vocabulary]
) -> dict[str, float]:
    """Does the answer name the colour, the place, the action? Who is asked about is on screen; a question
    that names nobody belongs to the type whose word its reference names."""
    shown = [p for p in predictions if p.answer is not None and _is_present(p)]
    numbers: dict[str, float] = {}
    for kind, words in vocabulary.items():
        asked = [p for p in shown if p.type == kind or (p.type == "general" and named(p.reference, words))]
        metric = NamingAccuracy(vocabulary=words)
        metric.update([p.answer or "" for p in asked], [p.reference for p in asked])
        values = _computed(metric)
        if values["questions"]:
            numbers[f"{kind}_named"] = values.pop("accuracy")
            numbers |= {f"{kind}_named_{name}": value for name, value in values.items()}
    return numbers


def _when(predictions: Sequence[Prediction]) -> dict[str, float]:
    """Are the seconds told in which somebody is on screen? The truth is what the reference tells."""
    metric = IntervalIoU()
    for p in predictions:
        truth = parse_intervals(p.reference, clip_seconds=p.clip_seconds)
        if p.answer is not None and truth is not None:
            metric.update([p.answer], [truth], [p.clip_seconds])
    values = _computed(metric) if metric.update_called else {}
    return {f"when_{'questions' if name == 'answers' else name}": value for name, value in values.items()}


def _who(predictions: Sequence[Prediction]) -> dict[str, float]:
    """Is the right person named, and nobody else? ``uniform`` is a guess among those who are asked about, or
    on screen where the question names nobody."""
    words = {name: (name,) for p in predictions for name in p.presence}
    asked = [p for p in predictions if p.answer is not None and len(named(p.reference, words)) == 1]
    if not asked:
        return {}
    metric = NamingAccuracy(vocabulary=words)
    metric.update([p.answer or "" for p in asked], [p.reference for p in asked])
    values = _computed(metric)
    numbers = {"who_named": values.pop("accuracy")}
    candidates = [len(p.subjects) or sum(p.presence.values()) or 1 for p in asked]
    values["uniform"] = sum(1 / n for n in candidates) / len(asked)
    return numbers | {f"who_named_{name}": value for name, value in values.items()}


def _is_present(prediction: Prediction) -> bool:
    """All who are asked about are on screen."""
    return all(prediction.presence.get(name, False) for name in prediction.subjects)


def _is_exact(prediction: Prediction) -> bool:
    """Word for word the reference."""
    return _normal(prediction.answer or "") == _normal(prediction.reference)


def _is_refused(prediction: Prediction) -> bool:
    """Says of everybody who is asked about and absent that they are."""
    said = parse_presence(prediction.answer or "", prediction.subjects)
    return all(said[name] is False for name in prediction.subjects if not prediction.presence.get(name))


def _normal(text: str) -> str:
    return " ".join(text.casefold().split())


@torch.no_grad()
def run_controls(
    chat: Respondent,
    batch: Batch,
    controls: Sequence[ControlName],
    *,
    base_model: AbstractContextManager[None] | None,
    generate: Sequence[ControlName],
    max_new_tokens: int,
) -> list[Prediction]:
    """All of ``controls`` on one batch; those that write no answers are asked existence questions alone."""
    existence = batch.select([i for i, e in enumerate(batch.examples) if e.polarity is not None])
    asked = {control: batch if control in generate else existence for control in controls}
    return [
        prediction
        for control in controls
        if len(asked[control])
        for prediction in predict(
            chat,
            asked[control],
            control,
            base_model=base_model,
            generate=control in generate,
            max_new_tokens=max_new_tokens,
        )
    ]
