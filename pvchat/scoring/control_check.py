"""Do the controls that must stay at chance stay there? The interval decides, not the mean."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pvchat.evaluation import ControlName, Prediction
from pvchat.metrics.functional.presence import parse_presence
from pvchat.metrics.functional.ranking import roc_auc
from pvchat.scoring.estimates import Unit, by_subject
from pvchat.scoring.intervals import auc_interval, mean_of_shares
from pvchat.statistics import MIN_SUBJECTS_FOR_TEST, Interval, bootstrap_interval

LEAKS: Mapping[ControlName, str] = {
    "text_only": "the questions alone tell the answer",
    "face_blanked": "something other than the face tells the answer: place, clothes, the recording",
}
CHANCE, ALARMS = 0.5, 0.05
WIDE = 0.5  # an interval as wide as this says nothing
Verdict = Literal["at chance", "leaves chance", "too few clips to tell", "not asked"]


@dataclass(frozen=True)
class Check:
    """Verdict on one control: ``looks`` are intervals of the balanced accuracy and of the AUC (or of one)
    over ``unit``, so wide that all controls together raise a false alarm in 5 % of evaluations."""

    control: ControlName
    verdict: Verdict
    looks: Mapping[str, Interval]
    unit: Unit = "clips"

    @property
    def sentence(self) -> str:
        told = ", ".join(
            f"{name} {look.mean:.2f} [{look.low:.2f}, {look.high:.2f}]" for name, look in self.looks.items()
        )
        if self.verdict == "leaves chance":
            return f"WARNING: {self.control} leaves chance ({told}): {LEAKS[self.control]}."
        if self.verdict == "not asked":
            return f"{self.control} was not asked: it is not known whether {LEAKS[self.control]}."
        return f"{self.control}: {self.verdict} ({told})."


def check_controls(
    predictions: Sequence[Prediction], *, threshold: float, scored: frozenset[ControlName]
) -> list[Check]:
    """Text only and face blanked. Presence scores are looked at where there are any, else written answers."""
    asked = {
        control: [p for p in predictions if p.control == control and p.polarity is not None]
        for control in LEAKS
    }
    number = sum(bool(some) * (1 + (control in scored)) for control, some in asked.items())
    level = 1 - ALARMS / max(1, number)
    return [_check(c, some, threshold, c in scored, level) for c, some in asked.items()]


def _check(
    control: ControlName, asked: Sequence[Prediction], threshold: float, scored: bool, level: float
) -> Check:
    if len({p.polarity for p in asked}) < 2:
        return Check(control, "not asked", {})
    over_clips = {name: look for name, look, _ in _looks(asked, threshold, scored, level)}
    looks, unit = over_clips, "clips"
    people = [some for some in by_subject(asked).values() if len({p.polarity for p in some}) == 2]
    if len(people) > 1:
        unit = "subjects"
        each = [{name: mean for name, _, mean in _looks(some, threshold, scored, level)} for some in people]
        looks = {name: bootstrap_interval([one[name] for one in each], level=level) for name in over_clips}
    # a bootstrap over few subjects is too narrow: then the clips must say so, too
    sure = [looks] if len(people) >= MIN_SUBJECTS_FOR_TEST else [looks, over_clips]
    gone = [name for name in looks if all(not some[name].low <= CHANCE <= some[name].high for some in sure)]
    wide = all(look.high - look.low >= WIDE for look in over_clips.values())
    verdict: Verdict = "leaves chance" if gone else "too few clips to tell" if wide else "at chance"
    return Check(control, verdict, looks, "subjects" if unit == "subjects" else "clips")


def _looks(
    asked: Sequence[Prediction], threshold: float, scored: bool, level: float
) -> Iterator[tuple[str, Interval, float]]:
    """Name, interval over clips, and mean. A clip counts once on each side, as the mean of its questions."""
    sides: dict[str, dict[tuple[str, tuple[str, ...]], list[Prediction]]] = {"yes": {}, "no": {}}
    for p in asked:
        sides[str(p.polarity)].setdefault((p.clip_id, p.subjects), []).append(p)
    shares = []
    for clips in sides.values():
        right = [_mean([float(_is_right(p, threshold, scored)) for p in some]) for some in clips.values()]
        shares.append((_mean(right), len(right)))
    interval = mean_of_shares(shares, level=level)
    yield "balanced accuracy", interval, interval.mean
    if scored:
        scores = {side: [_mean([p.score for p in some]) for some in c.values()] for side, c in sides.items()}
        yes, no = scores["yes"], scores["no"]
        area = roc_auc([*yes, *no], [True] * len(yes) + [False] * len(no))
        yield "AUC", auc_interval(area, len(yes), len(no), level=level), area


def _is_right(p: Prediction, threshold: float, scored: bool) -> bool:
    if scored:
        return (p.score > threshold) == (p.polarity == "yes")
    said = parse_presence(p.answer or "", p.subjects)
    return all(said[name] is p.presence[name] for name in p.subjects)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
