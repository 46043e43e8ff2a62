"""What was kept and what was forgotten: tables and sentences for screen, Markdown and pages."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any

from pvchat.batch import QuestionType
from pvchat.errors import UserError
from pvchat.metrics.functional.naming import Vocabulary
from pvchat.reporting.page import paragraph, table
from pvchat.reporting.table import Cell, TableStyle, render_table
from pvchat.retention.before_and_after import Pair
from pvchat.retention.changes import Change, changes
from pvchat.runs import read_json, write_json, write_text
from pvchat.statistics import Interval

FORGETTING = "forgetting"  # .json and .md of a run
CLIPS, TEXT = "general questions about clips without the subjects", "general knowledge, in text alone"
HEADER = ("", "before", "after", "difference")
LABELS = {
    "exact": "right, word for word",
    "contains": "the right answer is in it",
    "named": "names the true word",
    "bleu1": "BLEU-1",
    "log_likelihood": "log-likelihood of the truth, a token",
    "former_log_likelihood": "log-likelihood of the former answer, a token",
    "same": "answered as before",
    "kl": "KL from before, nats a token",
    "names_a_subject": "names a subject",
}
ACCURACY = ("named", "contains")
RANDOM_BRIDGE = (
    "Before training the bridge from the clip to the language model was random: what was said about clips "
    "then is no measure of what a model can."
)


@dataclass(frozen=True)
class Group:
    """Questions of one kind, and their numbers before and after."""

    title: str
    questions: int
    units: int
    numbers: Mapping[str, Change]

    @classmethod
    def of(
        cls, title: str, pairs: Sequence[Pair], vocabulary: Mapping[QuestionType, Vocabulary] | None = None
    ) -> "Group":
        return cls(title, len(pairs), len({p.unit for p in pairs}), changes(pairs, vocabulary))

    @classmethod
    def read(cls, told: Mapping[str, Any]) -> "Group":
        """What ``asdict`` made of one."""
        numbers = {}
        for name, change in told["numbers"].items():
            difference = change["difference"]
            known = Interval(**difference) if isinstance(difference, dict) else difference
            numbers[name] = Change(change["before"], change["after"], known)
        return cls(told["title"], told["questions"], told["units"], numbers)

    @property
    def rows(self) -> list[list[Cell]]:
        return [[LABELS[name], c.before, c.after, c.difference] for name, c in self.numbers.items()]

    @property
    def heading(self) -> str:
        units = "" if self.units == self.questions else f" about {self.units} clips"
        return f"{self.title[0].upper()}{self.title[1:]} ({self.questions} questions{units})"


@dataclass(frozen=True)
class Retention:
    """``groups`` of questions that ``run`` was asked; ``is_pretrained``: whether its bridge was, before."""

    run: str
    is_pretrained: bool
    groups: tuple[Group, ...]

    @property
    def sentences(self) -> list[str]:
        """What the numbers say; each interval by itself, without a correction for how many there are."""
        fallen = [text for group in self.groups for text in _fallen(group, ACCURACY)]
        told = [f"Forgotten: {text}." for text in fallen] or ["No accuracy fell beyond chance."]
        less = [text for group in self.groups for text in _fallen(group, ("log_likelihood",))]
        told += [f"Less likely than before, which may be the wording alone: {text}." for text in less]
        for group in self.groups:
            told += _told(group)
        return told if self.is_pretrained else [*told, RANDOM_BRIDGE]


def screen(retention: Retention, *, style: TableStyle = "plain") -> str:
    """Tables and sentences as text."""
    mark = "## " if style == "markdown" else ""
    tables = [f"{mark}{g.heading}\n\n{render_table(HEADER, g.rows, style=style)}" for g in retention.groups]
    between = "\n\n" if style == "markdown" else "\n"
    return "\n\n".join([*tables, between.join(retention.sentences)])


def parts(retention: Retention) -> Iterator[str]:
    """The same for a page."""
    for sentence in retention.sentences:
        yield paragraph(sentence, kind="warning" if sentence.startswith("WARNING") else "quiet")
    for group in retention.groups:
        yield f"<h3>{escape(group.heading)}</h3>"
        yield table(HEADER, group.rows)


def save(retention: Retention, pairs: Sequence[Pair], out: Path) -> None:
    """forgetting.json, with every answer, and forgetting.md."""
    answers = [asdict(pair) for pair in pairs]
    write_json(out / f"{FORGETTING}.json", {**asdict(retention), "answers": answers})
    write_text(
        out / f"{FORGETTING}.md",
        f"# Forgetting\n\nrun: {retention.run}\n\n{screen(retention, style='markdown')}\n",
    )


def read(run: Path) -> Retention | None:
    """What ``save`` wrote to the folder ``run``; None where it did not. Raises UserError."""
    path = run / f"{FORGETTING}.json"
    if not path.is_file():
        return None
    told = read_json(path)
    try:
        return Retention(told["run"], told["is_pretrained"], tuple(map(Group.read, told["groups"])))
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path} is not as pvchat evaluate --forgetting writes it ({error}): ask again, or remove it."
        ) from error


def _told(group: Group) -> Iterator[str]:
    """How far it moved, what limits that, and whether it talks of a subject who is not asked about."""
    name, numbers = group.title[0].upper() + group.title[1:], group.numbers
    yield f"{name}: {numbers['same'].after:.0%} answered as before, KL {numbers['kl'].after:.3f}."
    accuracy = [numbers[key].before for key in ACCURACY if key in numbers]
    if not accuracy:
        yield f"{name}: the truth is not known, so that drift is all that is seen."
    elif not max(accuracy):
        yield f"{name}: none was answered right before, so no accuracy could fall."
    if share := numbers["names_a_subject"].after:
        yield f"WARNING: {share:.0%} of the answers to {group.title} name a subject."


def _fallen(group: Group, names: Sequence[str]) -> Iterator[str]:
    """Those of ``names`` whose interval lies below zero."""
    for name in names:
        change = group.numbers.get(name)
        if change and isinstance(change.difference, Interval) and change.difference.high < 0:
            d = change.difference
            yield f"{group.title}, {LABELS[name]} {d.mean:+.3f} [{d.low:+.3f}, {d.high:+.3f}]"
