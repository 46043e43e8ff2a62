"""A scorecard as tables and sentences, the same for the screen, Markdown and the page."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pvchat.reporting.summary import MEANING
from pvchat.reporting.table import Cell
from pvchat.scoring.answers import FAULTS
from pvchat.scoring.estimates import COUNTS, Estimate
from pvchat.scoring.scorecard import Estimates, Scorecard

NAMES = {
    "presence_accuracy": "Acc: who is there, written answers",
    "presence_balanced_accuracy": "balanced accuracy, written answers",
    "presence_accuracy_yes": "Acc where the person is there",
    "presence_accuracy_no": "Acc where not",
    "presence_accuracy_no_beside_another": "Acc where not, another subject is there",
    "presence_auc": "AUC of the presence score",
    "score_balanced_accuracy": "balanced accuracy of the score",
    "calibrated_balanced_accuracy": "the same, calibrated threshold",
    "presence_fpr95": "false alarms where 95 % are found",
    "presence_fpr95_look_alikes": "the same, against look-alikes",
    "presence_ece": "ECE of the score as probability",
    "calibrated_ece": "the same, shifted by the threshold",
    "presence_brier": "Brier score",
    "calibrated_brier": "the same, shifted by the threshold",
    "calibrated_accuracy_no_beside_another": "score says no beside another subject",
    "bleu1": "BLEU-1, corpus, 0-1",
    "bleu4": "BLEU-4, corpus, 0-1",
    "bleu1_present": "BLEU-1, open questions, the person is there",
    "bleu4_present": "BLEU-4, the same",
    "bleu1_absent": "BLEU-1, open questions, not there",
    "bleu4_absent": "BLEU-4, the same",
    "when_iou": "when: IoU of the seconds told",
    "when_recall_at_0.3": "when: IoU of at least .3",
    "when_recall_at_0.5": "when: IoU of at least .5",
    "when_recall_at_0.7": "when: IoU of at least .7",
    "when_seconds_iou": "when: IoU of all seconds together",
    "when_never_accuracy": "when: said to be never, rightly",
    "who_named": "who: the right person named, no other",
    "entity_proxy": "entity proxy, by rule, 0-1 (not ES)",
    "detail_proxy": "detail proxy, by rule, 0-1 (not DC)",
}
PAPER = {"presence_accuracy": 0.901, "bleu1": 0.562, "bertscore_roberta-large_f1": 0.952}
PAPER_RATINGS = {"es_1to5": 4.940, "dc_1to5": 4.201}
OPEN = ("exact", "named", "refused")
BEYOND = {
    "when_iou": "when: IoU",
    "when_recall_at_0.5": "IoU >= .5",
    "when_majority": "constant",
    "who_named": "who",
    "who_named_majority": "constant",
    "who_named_uniform": "guess",
    "action_named": "does",
    "action_named_majority": "constant",
    "appearance_named": "wears",
    "appearance_named_majority": "constant",
}
PART_TITLES = {
    "type": "By type of question",
    "polarity": "By truth of existence questions",
    "persons": "By number of persons asked about",
    "on screen": "By number of subjects on screen",
    "provenance": "By provenance of the clip",
}
MOST_LISTED, MOST_CHARACTERS = 20, 160


@dataclass(frozen=True)
class Table:
    """``note`` says how to read it."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""


def tables(card: Scorecard) -> list[Table]:
    """All of ``card``, the most important first."""
    return [headline(card), controls(card), *beyond(card), *_parts(card), *_trouble(card)]


def intervals_are(card: Scorecard) -> str:
    """What the intervals are over."""
    if len(card.subjects) > 1:
        few = " Under eight of them it is too narrow." if len(card.subjects) < 8 else ""
        return (
            f"Means over {len(card.subjects)} subjects, with a 95 % bootstrap interval over subjects. Groups "
            f"with one subject: over its clips.{few}"
        )
    return (
        f"95 % bootstrap intervals over the {card.num_clips} clips of one subject: they do not tell how "
        "another person would do. An interval without width says that all clips agree, not that others "
        "would; one clip alone has none."
    )


def headline(card: Scorecard) -> Table:
    """Each number of the main answers, next to that of the paper where it is the same metric."""
    found = {**card.numbers.get("main", {}), **card.ratings}
    known = [name for name in NAMES if name in found]
    more = [name for name in found if name not in known and not _is_detail(name)]
    rows: list[list[Cell]] = [[_label(name), found[name].cell, _paper(name)] for name in (*known, *more)]
    unparsed = found.get("presence_unparsed", Estimate(0.0)).value
    note = f"{intervals_are(card)} Paper: Table 1, its own data."
    if len(card.unparsed):
        note += f" {unparsed:.0f} statements about a person could not be read, they count as wrong."
    if unanswered := sum(card.fault_counts.get(kind, 0) for kind in ("missing", "empty", "repeated")):
        note += f" {unanswered} questions are unanswered, they count as wrong."
    for name, count in card.unrated.items():
        note += f" {_label(name)}: {count} answers without a score." if count else ""
    return Table("Numbers", ["metric", "value", "paper"], rows, note)


def controls(card: Scorecard) -> Table:
    """The model and its controls."""
    columns = {
        "answers": "presence_balanced_accuracy",
        "score": "score_balanced_accuracy",
        "AUC": "presence_auc",
    }
    rows: list[list[Cell]] = [
        [control, *(_cell(card.numbers[control], name) for name in columns.values()), MEANING[control]]
        for control in card.numbers
    ]
    note = (
        "Balanced accuracy of written answers and of the presence score, and its AUC; .5 is chance. Text "
        "only and face blanked must stay there; the others tell where the identity is stored."
    )
    return Table("Controls", ["control", *columns, "what it is"], rows, note)


def beyond(card: Scorecard) -> Iterable[Table]:
    """When, and who does what, of the model and its controls that wrote answers, and by who is on screen."""
    groups: dict[str, Estimates] = {str(name): some for name, some in card.numbers.items()}
    groups |= {f"main, {n} on screen": some for n, some in card.parts.get("on screen", {}).items()}
    rows: list[list[Cell]] = [
        [name, *(_cell(some, key) for key in BEYOND)]
        for name, some in groups.items()
        if "when_iou" in some or "who_named" in some
    ]
    note = (
        "When: intersection over union of the seconds told with those that show the person, mean over "
        'questions; constant: the better of "throughout" and "never". Who, does, wears: share of answers '
        "that name the right one and no other; constant: the best answer that ignores the clip; guess: one "
        "of those who are asked about, or on screen."
    )
    if rows:
        yield _measured(Table("When, and who does what", ["answers", *BEYOND.values()], rows, note))


def _parts(card: Scorecard) -> Iterable[Table]:
    for part, named in card.parts.items():
        if not named:
            continue
        if part == "type":
            header: list[str] = ["type", "answers", "Acc", "word for word", "named", "refused", "BLEU-1"]
            keys = {
                name: ["presence_accuracy", *(f"{name}_{key}" for key in OPEN), "bleu1"] for name in named
            }
            rows: list[list[Cell]] = [
                [name, card.sizes[part][name], *(_cell(e, key) for key in keys[name])]
                for name, e in named.items()
            ]
            note = (
                "Word for word the truth, and naming the true colour, place or action and no other: who is "
                "asked about is there. Refused: is not there, and the answer says so."
            )
        else:
            header = [part, "answers", "Acc", "balanced", "AUC", "BLEU-1"]
            names = ("presence_accuracy", "presence_balanced_accuracy", "presence_auc", "bleu1")
            rows = [
                [name, card.sizes[part][name], *(_cell(e, key) for key in names)] for name, e in named.items()
            ]
            note = (
                "warp and generated clips are made, negative ones show others."
                if part == "provenance"
                else ""
            )
        yield _measured(Table(PART_TITLES[part], header, rows, note))


def _measured(table: Table) -> Table:
    """Without the columns that nothing was measured in."""
    kept = [i for i in range(len(table.header)) if any(row[i] is not None for row in table.rows)]
    header, rows = [table.header[i] for i in kept], [[row[i] for i in kept] for row in table.rows]
    return Table(table.title, header, rows, table.note)


def _trouble(card: Scorecard) -> Iterable[Table]:
    if card.faults:
        rows: list[list[Cell]] = []
        for kind, meaning in FAULTS.items():
            where = [fault.where for fault in card.faults if fault.kind == kind]
            more = ", .." if len(where) > 3 else ""
            if where:
                rows.append([kind, len(where), cut(", ".join(where[:3]) + more), meaning])
        yield Table("What is wrong with the answers", ["fault", "count", "where", "what it means"], rows)
    if card.unparsed:
        listed = card.unparsed[:MOST_LISTED]
        left = len(card.unparsed) - len(listed)
        yield Table(
            "Answers that do not say who is there",
            ["question", "asked", "answer"],
            [[p.id, cut(p.question), cut(p.answer or "") or "(unanswered)"] for p in listed],
            f"and {left} more, in evaluation.json." if left else "",
        )


def cut(text: str) -> str:
    """One printable line of at most 160 characters; says how long the text was."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    if len(line) <= MOST_CHARACTERS:
        return line
    return f"{line[:MOST_CHARACTERS]}.. ({len(text):,} characters)"


def _cell(estimates: Estimates, name: str) -> Cell:
    return estimates[name].cell if name in estimates else None


def _paper(name: str) -> float | None:
    return PAPER.get(name) or next(
        (v for rubric, v in PAPER_RATINGS.items() if name.startswith(rubric)), None
    )


def _label(name: str) -> str:
    for rubric in ("es", "dc"):
        if name.startswith(f"{rubric}_"):
            _, scale, judge = name.split("_", 2)
            return f"{rubric.upper()}, {scale.replace('to', '-')}, rated by {judge}"
    return NAMES.get(name, name.replace("_", " "))


def _is_detail(name: str) -> bool:
    """In another table, or a count."""
    kinds = ("appearance", "action", "location", "general")
    return name.endswith(COUNTS) or name.startswith(kinds)
