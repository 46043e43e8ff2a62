"""A corpus to look at: frames of every clip, who is in it, what is asked; one page and one picture."""

import base64
import html
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont, ImageOps

from pvchat.datamodules.manifest import Record
from pvchat.datamodules.video import decode
from pvchat.subjects import mention, mentions
from pvchat.synthesis.writing import whole

Frames = npt.NDArray[np.uint8]
FRAMES, THUMB_PX = 4, 128
FONT = (
    Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
)  # knows more letters than Pillow's
_QUESTIONS = 3
_MOST_REJECTS = 24
_COLUMNS = (2, 5)  # least and most strips in a row of the picture
_LABEL_PX = 52
_INK = {True: "#1b7a43", False: "#444"}  # of labels: a subject is in the clip or not
_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882; }
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 84rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: .2rem } h2 { font-size: 1.1rem; margin: 2rem 0 .6rem }
table { border-collapse: collapse } th, td { text-align: left; padding: .2rem .9rem .2rem 0; }
tr + tr td, tr + tr th { border-top: 1px solid var(--line) } th { font-weight: 600 }
.clips { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(23rem, 100%), 1fr)); gap: 1rem }
@media (min-width: 68rem) { .clips { grid-template-columns: repeat(var(--cast, 3), 1fr) } }
figure { margin: 0; border: 1px solid var(--line); border-radius: 8px; overflow: hidden }
figure img { display: block; max-width: 100%; background: var(--soft) }
figcaption { padding: .5rem .7rem .6rem } .id { font-weight: 600; overflow-wrap: anywhere }
.tag { background: var(--soft); border-radius: 9px; padding: 0 .5em; font-size: .85em; white-space: nowrap }
.there { background: #2a9d5a33 } .bad { background: #d33a2c33 }
.facts { font-size: .9em; opacity: .8; overflow-wrap: anywhere }
dl { margin: .4rem 0 0; font-size: .9em } dt { font-weight: 600 } dd { margin: 0 0 .25rem }
"""


@dataclass(frozen=True)
class Reject:
    """A clip or picture that was made and not used, and why. ``frames`` (T, H, W, 3) to show."""

    name: str
    reason: str
    frames: Frames


@dataclass(frozen=True)
class Sheet:
    """What is shown beside the clips: a ``title``, a ``remark`` for a clip (its gate score), ``rejects``,
    and ``notes``: one sentence each."""

    title: str
    remarks: Mapping[str, str] = field(default_factory=dict)
    rejects: Sequence[Reject] = ()
    notes: Sequence[str] = ()


def write_contact_sheet(folder: Path, records: Sequence[Record], sheet: Sheet) -> Path:
    """Write ``contact_sheet.html`` (all in one file) and ``contact_sheet.png``; returns the page."""
    strips = {r.id: _strip(_frames(r)) for r in records}
    page = folder / "contact_sheet.html"
    with whole(page) as temporary:
        temporary.write_text("\n".join(_page(records, strips, sheet)), encoding="utf-8")
    with whole(page.with_suffix(".png")) as temporary:
        _picture(records, strips, sheet).save(temporary, format="png")
    return page


def _frames(record: Record) -> Frames:
    return decode(record.path, num_frames=FRAMES, start_s=record.start_s, end_s=record.end_s).frames


def _strip(frames: Frames) -> Image.Image:
    """Some of ``frames`` (T, H, W, 3) side by side, from the first to the last; a photo once."""
    count = min(FRAMES, len(frames))
    chosen = frames[np.linspace(0, len(frames) - 1, count).round().astype(int)]
    strip = Image.new("RGB", (count * THUMB_PX, THUMB_PX), "#888")
    for n, frame in enumerate(chosen):
        small = ImageOps.contain(Image.fromarray(frame), (THUMB_PX, THUMB_PX))
        corner = (n * THUMB_PX + (THUMB_PX - small.width) // 2, (THUMB_PX - small.height) // 2)
        strip.paste(small, corner)
    return strip


def _page(records: Sequence[Record], strips: Mapping[str, Image.Image], sheet: Sheet) -> Iterator[str]:
    title = html.escape(sheet.title)
    yield (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style><h1>{title}</h1>'
    )
    yield from (f"<p>{html.escape(note)}</p>" for note in sheet.notes)
    yield _table(records)
    for split in dict.fromkeys(r.split for r in records):
        own = [r for r in records if r.split == split]
        yield f'<h2>{split}: {len(own)} clips</h2><div class="clips" style="--cast: {_columns(own)}">'
        yield from (_figure(r, strips[r.id], sheet.remarks.get(r.id, "")) for r in own)
        yield "</div>"
    if sheet.rejects:
        shown = _some(sheet.rejects)
        count = f"{len(sheet.rejects)}" + (f", {len(shown)} shown" if len(shown) < len(sheet.rejects) else "")
        yield f'<h2>looked at and not used: {count}</h2><div class="clips">'
        for reject in shown:
            caption = (
                f'<span class="id">{html.escape(reject.name)}</span> <span class="tag bad">rejected</span>'
            )
            yield _framed(_strip(reject.frames), f"{caption}<div>{html.escape(reject.reason)}</div>")
        yield "</div>"
    yield "</html>"


def _some(rejects: Sequence[Reject]) -> list[Reject]:
    """At most ``_MOST_REJECTS``, of every reason some."""
    seen: Counter[str] = Counter()
    turns: list[tuple[int, int]] = []
    for reject in rejects:
        kind = re.sub(r"[\d.]+", "", reject.reason)
        turns.append((seen[kind], len(turns)))
        seen[kind] += 1
    return [rejects[i] for _, i in sorted(turns)[:_MOST_REJECTS]]


def _table(records: Sequence[Record]) -> str:
    """Clips and questions of each split."""
    rows = []
    for split in dict.fromkeys(r.split for r in records):
        own = [r for r in records if r.split == split]
        origins = Counter(r.origin for r in own)
        asked = Counter(q.polarity or q.type for r in own for q in r.qa)
        there = sum(any(r.presence.values()) for r in own)
        cells = (
            split,
            f"{len(own)} ({_counts(origins)})",
            str(there),
            f"{sum(asked.values())} ({_counts(asked)})",
        )
        rows.append("".join(f"<td>{html.escape(cell)}</td>" for cell in cells))
    head = "".join(f"<th>{name}</th>" for name in ("split", "clips", "with a subject", "questions"))
    return f"<table><tr>{head}</tr>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"


def _counts(counts: Counter[Any]) -> str:
    return ", ".join(f"{counts[name]} {name}" for name in sorted(counts, key=_place))


def _place(name: str) -> tuple[bool, bool, str]:
    """Yes before no before the other types, in the order of the alphabet."""
    return name != "yes", name != "no", name


def _figure(record: Record, strip: Image.Image, remark: str) -> str:
    tags = [f'<span class="tag">{record.origin}</span>']
    tags += [
        f'<span class="tag there">{html.escape(n)}</span>' for n, here in record.presence.items() if here
    ]
    known = html.escape(
        " · ".join([*_seen(record), f"from {record.source_id}", *([remark] if remark else [])])
    )
    some = record.qa[:: max(1, len(record.qa) // _QUESTIONS)][:_QUESTIONS]
    asked = "".join(f"<dt>{_text(q.question)}</dt><dd>{_text(q.answer)}</dd>" for q in some)
    return _framed(
        strip,
        f'<span class="id">{html.escape(record.id)}</span> {" ".join(tags)}'
        f'<div class="facts">{known}</div><dl>{asked}</dl>',
    )


def _framed(strip: Image.Image, caption: str) -> str:
    buffer = io.BytesIO()
    strip.save(buffer, format="jpeg", quality=82)
    data = base64.b64encode(buffer.getvalue()).decode()
    return (
        f'<figure><img src="data:image/jpeg;base64,{data}" alt=""><figcaption>{caption}</figcaption></figure>'
    )


def _text(text: str) -> str:
    return html.escape(_plain(text))


def _plain(text: str) -> str:
    """A question or answer with plain names."""
    for name in mentions(text):
        text = text.replace(mention(name), name[:1].upper() + name[1:])
    return text


def _picture(records: Sequence[Record], strips: Mapping[str, Image.Image], sheet: Sheet) -> Image.Image:
    shown = [
        (
            f"{r.id}: {', '.join([_who(r), *_seen(r)])}",
            " · ".join(filter(None, [sheet.remarks.get(r.id), *_asked(r)])),
            _INK[any(r.presence.values())],
            strips[r.id],
        )
        for r in records
    ]
    shown += [(f"rejected, {r.name}", r.reason, "#b3261e", _strip(r.frames)) for r in _some(sheet.rejects)]
    width, height = FRAMES * THUMB_PX + 8, THUMB_PX + _LABEL_PX
    columns = _columns(records)
    rows = -(-len(shown) // columns)
    picture = Image.new("RGB", (columns * width, max(1, rows) * height), "white")
    draw = ImageDraw.Draw(picture)
    for n, (label, line, ink, strip) in enumerate(shown):
        x, y = n % columns * width, n // columns * height
        _write(draw, (x + 4, y + 9), label, ink, 15, width - 8)
        _write(draw, (x + 4, y + 30), line, "#555", 12, width - 8)
        picture.paste(strip, (x + 4, y + _LABEL_PX))
    return picture


def _write(
    draw: ImageDraw.ImageDraw, at: tuple[int, int], text: str, ink: str, size: int, width: int
) -> None:
    """One line of ``text``, cut to ``width`` pixels."""
    font = ImageFont.truetype(FONT, size)
    while draw.textlength(text, font) > width:
        text = text.rstrip("…")[:-1] + "…"
    draw.text(at, text, fill=ink, font=font)


def _asked(record: Record) -> list[str]:
    """The first question and its answer, in plain names."""
    return [f"{_plain(qa.question)} {_plain(qa.answer)}" for qa in record.qa[:1]]


def _columns(records: Sequence[Record]) -> int:
    """As many as clips follow each other with the same background: a row is a scene."""
    runs = Counter(len(list(run)) for key, run in groupby(records, lambda r: r.background) if key)
    least, most = _COLUMNS
    return min(max(runs.most_common(1)[0][0] if runs else 3, least), most)


def _seen(record: Record) -> list[str]:
    """What was commanded, for people: a drawn background without its number."""
    place = (record.background or "").split("/")[0]
    return [fact for fact in (place, record.clothes, record.motion) if fact]


def _who(record: Record) -> str:
    shown = [name for name, here in record.presence.items() if here]
    return " and ".join(shown) or "somebody else"
