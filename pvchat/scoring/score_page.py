"""A scorecard as text for the screen, as Markdown and as one self-contained HTML page."""

import re
from collections.abc import Sequence
from html import escape

from pvchat.reporting.table import Cell, format_cell, render_table
from pvchat.scoring.score_tables import Table, controls, cut, headline, tables
from pvchat.scoring.scorecard import Scorecard
from pvchat.statistics import Interval

STYLE = """
body { color: #1b1b1b; background: #fff; font: 16px/1.5 system-ui, sans-serif; max-width: 60rem;
  margin: 2rem auto; padding: 0 1rem; overflow-wrap: break-word; }
h1 { font-size: 1.5rem; margin-bottom: .3rem; } h2 { font-size: 1.15rem; margin: 2rem 0 .4rem; }
p { margin: .3rem 0; } .about, .note, .low { color: #555; } .about, .note { font-size: .9rem; }
.warning { border-left: 4px solid #b3261e; padding: .4rem .8rem; margin: .6rem 0; background: #fdf0ef; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; margin: .5rem 0; min-width: min(100%, 34rem); }
th { text-align: left; border-bottom: 2px solid #1b1b1b; font-weight: 600; }
th, td { padding: .3rem .9rem .3rem 0; vertical-align: top; }
td { border-bottom: 1px solid #ddd; } td.words { min-width: 8rem; }
.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.low { font-size: .85em; } svg { vertical-align: middle; margin-left: .6rem; }
@media (max-width: 40rem) { body { margin: 1rem auto; font-size: 15px; } svg { display: none; } }
"""
BAR_PX, BAR_HEIGHT_PX = 120, 12


def screen(card: Scorecard) -> str:
    """The headline, the controls and what is wrong, for a terminal."""
    told = [_plain(table) for table in (headline(card), controls(card))]
    told += [check.sentence for check in card.checks]
    if card.faults:
        counts = ", ".join(f"{count} {kind}" for kind, count in card.fault_counts.items())
        told.append(f"Wrong with the answers: {counts}. The list is in evaluation.json.")
    return "\n\n".join(told)


def markdown(card: Scorecard) -> str:
    """All tables."""
    told = ["# Evaluation", *(f"{key}: {_quoted(value)}  " for key, value in card.about.items())]
    told += [f"- {check.sentence}" for check in card.checks]
    for table in tables(card):
        rows = [[_quoted(c) if isinstance(c, str) else c for c in row] for row in table.rows]
        told += [f"## {table.title}", render_table(table.header, rows, style="markdown")]
        told += [table.note] if table.note else []
    return "\n\n".join([*told, f"BLEU: {_signatures(card)}"]) + "\n"


def page(card: Scorecard) -> str:
    """All tables, for a browser; nothing is fetched, all that comes from outside is escaped."""
    title = escape(cut(next(iter(card.about.values()), "answers")))
    about = " · ".join(f"{escape(key)} {escape(cut(value))}" for key, value in card.about.items())
    checks = "".join(
        f'<p class="{"warning" if check.verdict == "leaves chance" else "note"}">{escape(check.sentence)}</p>'
        for check in card.checks
    )
    first, *others = tables(card)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Evaluation of {title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f'<h1>Evaluation</h1>\n<p class="about">{about}</p>\n{checks}\n{_html(first, bars=True)}\n'
        + "\n".join(_html(table) for table in others)
        + f'\n<p class="about">BLEU: {escape(_signatures(card))}</p>\n</body>\n</html>\n'
    )


def _plain(table: Table) -> str:
    return "\n".join(
        [table.title, "", render_table(table.header, table.rows), *([table.note] * bool(table.note))]
    )


def _html(table: Table, *, bars: bool = False) -> str:
    words = [any(isinstance(row[i], str) for row in table.rows) for i in range(len(table.header))]
    kinds = ["words" if some else "number" for some in words]
    head = "".join(
        f'<th class="{k}">{escape(name)}</th>' for name, k in zip(table.header, kinds, strict=True)
    )
    rows = "\n".join(
        "<tr>"
        + "".join(f'<td class="{k}">{_cell(c, bars=bars)}</td>' for c, k in zip(row, kinds, strict=True))
        + "</tr>"
        for row in table.rows
    )
    note = f'\n<p class="note">{escape(table.note)}</p>' if table.note else ""
    return (
        f'<h2>{escape(table.title)}</h2>{note}\n<div class="scroll"><table>\n'
        f"<tr>{head}</tr>\n{rows}\n</table></div>"
    )


def _cell(cell: Cell, *, bars: bool) -> str:
    if not isinstance(cell, Interval):
        return escape(format_cell(cell))
    value, ends = escape(format_cell(cell)).split(" ", 1)
    drawn = _bar(cell) if bars and cell.low >= 0 and cell.high <= 1 else ""
    return f'{value} <span class="low">{ends}</span>{drawn}'


def _bar(interval: Interval) -> str:
    """The interval between 0 and 1, with a tick in the middle."""
    low, mean, high = (round(end * BAR_PX, 1) for end in (interval.low, interval.mean, interval.high))
    middle, end = BAR_HEIGHT_PX / 2, BAR_HEIGHT_PX - 1
    return (
        f'<svg width="{BAR_PX + 6}" height="{BAR_HEIGHT_PX}" viewBox="-3 0 {BAR_PX + 6} {BAR_HEIGHT_PX}" '
        f'aria-hidden="true"><path d="M0 {middle}H{BAR_PX}M{BAR_PX / 2} 1V{end}" stroke="#ccc"/>'
        f'<path d="M{low} {middle}H{high}" stroke="#1f78b4" stroke-width="3"/>'
        f'<circle cx="{mean}" cy="{middle}" r="3" fill="#1b1b1b"/></svg>'
    )


def _quoted(text: str) -> str:
    """Markdown of ``text`` as it is: no mark-up in it is obeyed."""
    return re.sub(r"([\\`*_{}\[\]()#+!~])", r"\\\1", escape(cut(text), quote=False))


def _signatures(card: Scorecard) -> str:
    return "; ".join(f"{name} {signature}" for name, signature in card.signatures.items())


def written(card: Scorecard) -> Sequence[tuple[str, str]]:
    """Names and texts of the files for people."""
    return ("evaluation.md", markdown(card)), ("evaluation.html", page(card))
