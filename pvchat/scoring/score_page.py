"""A scorecard as text for the screen, as Markdown and as one self-contained HTML page."""

import re
from collections.abc import Iterator, Sequence
from html import escape

from pvchat.reporting.page import heading, paragraph, render_page, table
from pvchat.reporting.table import render_table
from pvchat.scoring.score_tables import Table, beyond, controls, cut, headline, tables
from pvchat.scoring.scorecard import Scorecard


def screen(card: Scorecard) -> str:
    """The headline, the controls, when and who, and what is wrong, for a terminal."""
    told = [_plain(shown) for shown in (headline(card), controls(card), *beyond(card))]
    told += [check.sentence for check in card.checks]
    if card.faults:
        counts = ", ".join(f"{count} {kind}" for kind, count in card.fault_counts.items())
        told.append(f"Wrong with the answers: {counts}. The list is in evaluation.json.")
    return "\n\n".join(told)


def markdown(card: Scorecard) -> str:
    """All tables."""
    told = ["# Evaluation", *(f"{key}: {_quoted(value)}  " for key, value in card.about.items())]
    told += [f"- {check.sentence}" for check in card.checks]
    for shown in tables(card):
        rows = [[_quoted(c) if isinstance(c, str) else c for c in row] for row in shown.rows]
        told += [f"## {shown.title}", render_table(shown.header, rows, style="markdown")]
        told += [shown.note] if shown.note else []
    return "\n\n".join([*told, f"Signatures: {_signatures(card)}"]) + "\n"


def page(card: Scorecard) -> str:
    """All tables, for a browser."""
    return render_page(f"Evaluation of {cut(next(iter(card.about.values()), 'answers'))}", _parts(card))


def _parts(card: Scorecard) -> Iterator[str]:
    yield paragraph(" · ".join(f"{key} {cut(value)}" for key, value in card.about.items()), kind="quiet")
    for check in card.checks:
        yield paragraph(check.sentence, kind="warning" if check.verdict == "leaves chance" else "quiet")
    for number, shown in enumerate(tables(card)):
        yield heading(shown.title)
        if shown.note:
            yield paragraph(shown.note, kind="quiet")
        yield table(shown.header, shown.rows, bars=number == 0)
    yield paragraph(f"Signatures: {_signatures(card)}", kind="quiet")


def _plain(shown: Table) -> str:
    told = [shown.title, "", render_table(shown.header, shown.rows), *([shown.note] * bool(shown.note))]
    return "\n".join(told)


def _quoted(text: str) -> str:
    """Markdown of ``text`` as it is: no mark-up in it is obeyed."""
    return re.sub(r"([\\`*_{}\[\]()#+!~])", r"\\\1", escape(cut(text), quote=False))


def _signatures(card: Scorecard) -> str:
    return "; ".join(f"{name} {signature}" for name, signature in card.signatures.items())


def written(card: Scorecard) -> Sequence[tuple[str, str]]:
    """Names and texts of the files for people."""
    return ("evaluation.md", markdown(card)), ("evaluation.html", page(card))
