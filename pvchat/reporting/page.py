"""Pages that are one file: nothing is fetched, and every text is escaped."""

import base64
import html
import io
from collections.abc import Iterable, Sequence

from matplotlib.figure import Figure
from PIL import Image

from pvchat.reporting.table import Cell, format_cell
from pvchat.statistics import Interval

BAR_PX, BAR_HEIGHT_PX = 120, 12
STYLE = """
:root { --line: #d8d8d8; --quiet: #5f6368; --soft: #f4f5f6 }
body { font: 15px/1.5 system-ui, sans-serif; color: #1f2328; background: #fff; margin: 2rem auto;
  max-width: 72rem; padding: 0 1rem }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .3rem }
h2 { font-size: 1.2rem; margin: 2.4rem 0 .5rem; border-bottom: 1px solid var(--line); padding-bottom: .2rem }
p { max-width: 46rem; margin: .5rem 0 } .quiet { color: var(--quiet); font-size: .9rem }
.warning { background: #fff3e0; border-left: 4px solid #d9480f; padding: .4rem .8rem }
.scroll { overflow-x: auto } table { border-collapse: collapse; font-size: .92rem }
th, td { padding: .25rem .8rem .25rem 0; text-align: left; vertical-align: top; white-space: nowrap }
td.words { white-space: normal; min-width: 8rem }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums }
tr + tr > * { border-top: 1px solid var(--line) } .range { color: var(--quiet); font-size: .88em }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(30rem, 100%), 1fr)); gap: 1.2rem }
figure { margin: .8rem 0 } figure img { max-width: 100%; height: auto; display: block }
figcaption { font-size: .9rem; overflow-wrap: anywhere } .card { border: 1px solid var(--line);
  border-radius: 8px; overflow: hidden; margin: 0 } .card figcaption { padding: .5rem .8rem .7rem }
pre { background: var(--soft); padding: .6rem .8rem; font-size: .88rem }
.tag { background: var(--soft); border-radius: 9px; padding: 0 .5em; font-size: .85em }
.wrong { background: #ffe3e3 } .right { background: #e6f6ea }
svg { vertical-align: middle; margin-left: .6rem } @media (max-width: 40rem) { svg { display: none } }
dl { margin: .4rem 0 0 } dt { font-weight: 600 } dd { margin: 0 0 .25rem }
"""


def render_page(title: str, parts: Iterable[str]) -> str:
    """A whole page of ``parts``, which are HTML as the functions below make it."""
    name = html.escape(title)
    return "\n".join(
        [
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{name}</title>',
            f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style>',
            f"<h1>{name}</h1>",
            *parts,
            "</html>\n",
        ]
    )


def heading(text: str) -> str:
    return f"<h2>{html.escape(text)}</h2>"


def paragraph(text: str, *, kind: str = "") -> str:
    """``kind``: "quiet" or "warning"."""
    return f'<p class="{kind}">{html.escape(text)}</p>' if kind else f"<p>{html.escape(text)}</p>"


def listing(text: str) -> str:
    """Text as it is, in lines."""
    return f'<pre class="scroll">{html.escape(text)}</pre>'


def table(
    header: Sequence[str], rows: Sequence[Sequence[Cell]], *, digits: int = 3, bars: bool = False
) -> str:
    """Numbers to the right, intervals small beside them, with ``bars`` also drawn; wide tables scroll."""
    numeric = [rows and not any(isinstance(row[i], str) for row in rows) for i in range(len(header))]
    kinds = [' class="number"' if n else ' class="words"' for n in numeric]
    head = "".join(f"<th{k}>{html.escape(t)}</th>" for k, t in zip(kinds, header, strict=True))
    body = "".join(
        "<tr>"
        + "".join(f"<td{k}>{_cell(c, digits, bars)}</td>" for k, c in zip(kinds, row, strict=True))
        + "</tr>"
        for row in rows
    )
    return f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>'


def drawing(figure: Figure, *, alt: str) -> str:
    """A plot, as a PNG inside the page."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return png(buffer.getvalue(), alt=alt)


def png(data: bytes, *, alt: str) -> str:
    return f'<figure><img alt="{html.escape(alt)}" src="{_inline(data, "png")}"></figure>'


def card(image: Image.Image | None, caption: str) -> str:
    """A picture above HTML that is escaped already."""
    shown = ""
    if image is not None:
        buffer = io.BytesIO()
        image.save(buffer, format="jpeg", quality=85)
        shown = f'<img alt="" src="{_inline(buffer.getvalue(), "jpeg")}">'
    return f'<figure class="card">{shown}<figcaption>{caption}</figcaption></figure>'


def _cell(cell: Cell, digits: int, bars: bool) -> str:
    if not isinstance(cell, Interval):
        return html.escape(format_cell(cell, digits=digits))
    low, high = (format_cell(end, digits=digits) for end in (cell.low, cell.high))
    drawn = _bar(cell) if bars and cell.low >= 0 and cell.high <= 1 else ""
    return f'{format_cell(cell.mean, digits=digits)} <span class="range">[{low}, {high}]</span>{drawn}'


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


def _inline(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
