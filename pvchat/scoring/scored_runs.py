"""What was tested: run folders, and answers of other systems, in one form."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

from pydantic import Field, FiniteFloat, TypeAdapter, ValidationError

from pvchat.batch import QuestionType
from pvchat.datamodules.manifest import read_manifest
from pvchat.datamodules.vocabulary import vocabulary
from pvchat.errors import UserError
from pvchat.evaluation import CONTROLS, ControlName, Prediction, summarise
from pvchat.metrics.functional.naming import Vocabulary
from pvchat.runs import CONFIG, PREDICTIONS, RECORD, read_record
from pvchat.scoring.answers import questions, read_answers, read_predictions, reason
from pvchat.scoring.tested_clips import clips_of


@dataclass(frozen=True)
class _Tested:
    """What ``run.json`` says of a test."""

    subjects: Annotated[list[str], Field(min_length=1)]
    threshold: FiniteFloat


_TESTED = TypeAdapter(_Tested)


@dataclass(frozen=True)
class ScoredRun:
    """What a test says. Another system has no calibrated ``threshold`` (None), and perhaps no presence scores
    under a control that is then not among the ``scored`` ones."""

    path: Path
    subjects: tuple[str, ...]
    threshold: float | None
    predictions: tuple[Prediction, ...]
    scored: frozenset[ControlName] = frozenset(CONTROLS)
    vocabulary: Mapping[QuestionType, Vocabulary] = field(default_factory=dict)

    @property
    def cut(self) -> float:
        """The score above which its answer is yes."""
        return self.threshold or 0.0

    def numbers(self, predictions: Sequence[Prediction]) -> dict[str, float]:
        """Metrics of some of its answers, under one control."""
        return known_numbers(
            predictions, threshold=self.threshold, scored=self.scored, vocabulary=self.vocabulary
        )

    def about(self, subject: str) -> list[Prediction]:
        """What was asked about ``subject``, under every control; with one subject also what names nobody."""
        if subject not in self.subjects:
            return []
        alone = len(self.subjects) == 1
        return [p for p in self.predictions if subject in p.subjects or (alone and not p.subjects)]


def known_numbers(
    predictions: Sequence[Prediction],
    *,
    threshold: float | None,
    scored: frozenset[ControlName] = frozenset(CONTROLS),
    vocabulary: Mapping[QuestionType, Vocabulary] | None = None,
) -> dict[str, float]:
    """Metrics of answers under one control, without what the system does not give: scores, a threshold."""

    def summed(some: Sequence[Prediction]) -> dict[str, float]:
        found = summarise(some, threshold=threshold or 0.0, vocabulary=vocabulary)
        return {name.partition("/")[2]: value for name, value in found.items()}

    found = summed(predictions)
    if predictions and predictions[0].control not in scored:
        of_scores = summed([replace(p, answer=None) for p in predictions]).keys() - {"existence_questions"}
        found = {name: value for name, value in found.items() if name not in of_scores}
    if threshold is None:
        found = {name: value for name, value in found.items() if not name.startswith("calibrated")}
    return found


def scored_runs(path: str | Path, *, manifest: str | Path | None = None) -> list[ScoredRun]:
    """The run of the folder ``path``, all tested runs below it (without what lies inside a run, such as
    its test on another manifest), or answers of another system in the file ``path`` to the questions of
    ``manifest``. Raises UserError if there are none, or one cannot be read."""
    root = Path(path)
    if root.is_file():
        return [_answered(root, manifest)]
    tested = {p.parent for p in root.rglob(PREDICTIONS)}
    # inside a run lie its tests on other manifests, which are not its own: they are read where they are named
    found = sorted(folder for folder in tested if tested.isdisjoint(folder.parents))
    if not found:
        untested = sorted(p.parent for p in root.rglob(CONFIG))
        if untested:
            raise UserError(
                f"a comparison needs tested runs: {untested[0]} holds no {PREDICTIONS}. Run `pvchat test "
                f"--run {untested[0]}` first."
            )
        raise UserError(f"a comparison needs run folders: {root} holds none. Give one, such as runs/NAME.")
    return [_read(folder) for folder in found]


def _read(folder: Path) -> ScoredRun:
    record = read_record(folder)
    if missing := {"subjects", "threshold"} - set(record):
        raise UserError(
            f"a tested run says its subjects and threshold: {folder} lacks {' and '.join(sorted(missing))}. "
            f"Run `pvchat test --run {folder}`."
        )
    try:
        tested = _TESTED.validate_python(record)
    except ValidationError as error:
        raise UserError(
            f"a tested run says its subjects and threshold: {folder / RECORD} says {reason(error)}. "
            f"Run `pvchat test --run {folder}`."
        ) from error
    predictions = tuple(read_predictions(folder / PREDICTIONS))
    words = vocabulary(clips_of(folder))
    return ScoredRun(folder, tuple(tested.subjects), tested.threshold, predictions, vocabulary=words)


def _answered(path: Path, manifest: str | Path | None) -> ScoredRun:
    """A question that is not answered counts as wrong, as in ``pvchat evaluate``, which names the faults."""
    if manifest is None:
        raise UserError(f"answers are to the questions of a manifest: {path} has none. Give it with --data.")
    records = read_manifest(manifest, check_files=False)
    answers = read_answers(path, questions(records))
    subjects = tuple(dict.fromkeys(name for p in answers.predictions for name in p.presence))
    return ScoredRun(path, subjects, None, tuple(answers.predictions), answers.scored, vocabulary(records))
