"""Forgetting a subject: clips, faces, labels, questions and cache entries go, and a search proves it.

What is to go is noted before anything goes, and the note goes last: who is interrupted runs it again."""

import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pvchat.datamodules.manifest import Record, read_manifest, write_manifest
from pvchat.datamodules.video import content_hash
from pvchat.errors import UserError, writing
from pvchat.subjects import mentions
from pvchat.synthesis.pipeline.filming import CLIPS, REJECTS
from pvchat.synthesis.pipeline.finishing import MANIFEST
from pvchat.synthesis.pipeline.folder import CONFIG, FACES, FACES_FILE, LOCK, RAW, REQUEST
from pvchat.synthesis.pipeline.overview import STATISTICS, write_overview
from pvchat.synthesis.traces import Caches, Trace, digests, embeddings, scrubbed, search_folder
from pvchat.synthesis.writing import whole, write_text

NOTE = ".forgetting.json"
Redraw = Callable[[Path, Sequence[Record]], object]
SHEETS = ("contact_sheet.html", "contact_sheet.png")


@dataclass
class Forgotten:
    """What went (``gone``: how many of what), what stays because it is ``outside`` of the corpus, how many
    files the search looked at and what it found ``left``. ``data``: fingerprint of the corpus before."""

    data: str
    gone: Counter[str] = field(default_factory=Counter)
    outside: list[Path] = field(default_factory=list)
    searched: int = 0
    left: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Note:
    """``files`` go, ``renamed`` (from, to) held the name; ``shown``: what there was to look at."""

    subject: str
    data: str
    entire: bool
    files: list[str]
    renamed: list[list[str]]
    contents: list[str]
    faces: list[list[float]]
    digests: list[str]
    shown: list[str]

    @property
    def trace(self) -> Trace:
        faces = tuple(tuple(face) for face in self.faces)
        return Trace(self.subject, frozenset(self.contents), faces, frozenset(self.digests))


def forget(
    subject: str, corpus: str | Path, *, caches: Caches, entire: bool = False, redraw: Redraw = write_overview
) -> Forgotten:
    """Remove ``subject`` from the folder ``corpus`` and from ``caches``. Clips that show them go; of the
    others their labels and questions. Rejects go as a whole. Where nothing else is
    left the whole corpus goes, if ``entire`` says so. Raises UserError where it is no corpus, or has no such
    subject; nothing has changed then."""
    root = Path(corpus)
    note = _read_note(root, subject) or _plan(root, subject, entire)
    trace, done = note.trace, Forgotten(note.data)
    with writing(root):
        _write_note(root, note)
        _rewrite_manifest(root, note, done)
        done.gone += caches.clear(trace)
        for name in _doomed(root, note):
            _delete(root, root / name, done)
        _scrub_histories(root, trace)
        if note.shown and not note.entire:
            redraw(root, read_manifest(root / MANIFEST, check_files=False))
        for _, found in search_folder(root, trace, without=[root / NOTE]):
            done.searched += 1
            done.left += found
        done.left += caches.left(trace)
        (root / NOTE).unlink()
        if note.entire and not any(root.iterdir()) and not root.is_symlink():
            root.rmdir()
    return done


def _read_note(root: Path, subject: str) -> _Note | None:
    path = root / NOTE
    if not path.is_file():
        return None
    try:
        note = _Note(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise UserError(f"{path} is damaged: delete it and run pvchat forget again.") from error
    if note.subject != subject:
        raise UserError(
            f"one subject is forgotten after the other: {note.subject!r} was begun in {root} and not "
            f"finished. Run pvchat forget {note.subject!r} first."
        )
    return note


def _write_note(root: Path, note: _Note) -> None:
    write_text(root / NOTE, json.dumps(vars(note)))


def _plan(root: Path, subject: str, entire: bool) -> _Note:
    """All that is to go. Nothing is touched."""
    manifest = root / MANIFEST
    if not manifest.is_file():
        raise UserError(f"a corpus folder holds {MANIFEST}: {root} does not. Give the folder of a corpus.")
    records = read_manifest(manifest, check_files=False)
    if subject not in records[0].presence:
        raise UserError(
            f"only a subject of the corpus can be forgotten: {root} knows {list(records[0].presence)}, got "
            f"{subject!r}."
        )
    shows = _shown(records, subject)
    ends = len(records[0].presence) == 1 or len(shows) == len(records)
    if ends and not entire:
        raise UserError(
            f"{subject!r} is all that {root} is about: forgetting removes the whole corpus, {len(records)} "
            "clips. Say --yes to do so."
        )
    files = [path for r in (records if ends else shows) for path in _with_history(r.path)]
    told = [path for path in files if path.suffix == ".json" and path.is_file()]
    told += sorted((root / FACES / subject).glob("*.json"))
    faces = root / FACES / subject / FACES_FILE
    trace = Trace(subject, frozenset())
    renamed = [
        [str(old), str(new)]
        for r in records
        if r not in shows and trace.name.search(r.path.name)
        for old in _with_history(r.path)
        if (new := old.with_name(trace.name.sub("forgotten", old.name))) != old
    ]
    return _Note(
        subject=subject,
        data=content_hash(manifest),
        entire=ends,
        files=[str(path) for path in files],
        renamed=[] if ends else renamed,
        contents=sorted({content_hash(r.path) for r in shows if r.path.is_file() and r.path.stat().st_size}),
        faces=[list(f) for f in embeddings(faces.read_text(encoding="utf-8"))] if faces.is_file() else [],
        digests=sorted({d for path in told for d in digests(path.read_text(encoding="utf-8"))}),
        shown=[name for name in (*SHEETS, STATISTICS) if (root / name).exists()],
    )


def _shown(records: Sequence[Record], subject: str) -> list[Record]:
    """Clips out of files that show ``subject``, if only at another time."""
    files = {r.path for r in records if r.presence[subject]}
    return [r for r in records if r.path in files]


def _with_history(clip: Path) -> list[Path]:
    """``clip`` and what is written beside it under its name: its history, its first frame."""
    beside = [clip.with_suffix(suffix) for suffix in (".json", ".png") if clip.suffix != suffix]
    return [clip, *(path for path in beside if path.exists())]


def _rewrite_manifest(root: Path, note: _Note, done: Forgotten) -> None:
    """First of all, so that no line names a file that is gone."""
    manifest = root / MANIFEST
    if note.entire:
        manifest.unlink(missing_ok=True)
        return
    records = read_manifest(manifest, check_files=False)
    if note.subject not in records[0].presence:
        return  # it was done before an interruption
    for old, new in note.renamed:
        if Path(old).exists() and not Path(new).exists():
            with whole(Path(new)) as temporary:
                shutil.copy2(old, temporary)
    paths = {Path(old): Path(new) for old, new in note.renamed}
    shows = _shown(records, note.subject)
    kept = [_without(r, note.trace, paths) for r in records if r not in shows]
    done.gone["clips"] = len(records) - len(kept)
    done.gone["questions"] = sum(len(r.qa) for r in records) - sum(len(r.qa) for r in kept)
    write_manifest(manifest, kept)


def _without(record: Record, trace: Trace, paths: dict[Path, Path]) -> Record:
    """``record`` without labels of and questions about the subject; the name goes from its other fields."""
    texts: dict[str, Any] = {
        name: trace.name.sub("forgotten", value)
        for name in ("id", "source_id", "background", "clothes", "motion", "licence", "consent")
        if (value := getattr(record, name)) is not None
    }
    asked = [
        q for q in record.qa if trace.subject not in (*q.subjects, *mentions(q.question), *mentions(q.answer))
    ]
    return replace(
        record,
        **texts,
        path=paths.get(record.path, record.path),
        presence={name: there for name, there in record.presence.items() if name != trace.subject},
        qa=tuple(asked),
    )


def _doomed(root: Path, note: _Note) -> Iterator[str]:
    """What goes from the disk; the faces last, by which galleries are searched."""
    yield from note.files
    yield from (old for old, _ in note.renamed)
    yield from (str(path.relative_to(root)) for path in root.rglob(".*.tmp"))  # of a writer that was killed
    yield from (*SHEETS, STATISTICS, REQUEST, REJECTS)  # of rejects nobody can tell who is shown
    if note.entire:
        yield from (CLIPS, FACES, RAW, CONFIG, LOCK)
    yield f"{FACES}/{note.subject}"


def _delete(root: Path, path: Path, done: Forgotten) -> None:
    """Never through a link out of ``root``: of a link the link itself goes."""
    if not path.is_symlink() and not path.exists():
        return
    if not path.parent.resolve().is_relative_to(root.resolve()):
        done.outside.append(path)
    elif path.is_dir() and not path.is_symlink():
        done.gone["files"] += sum(len(files) for _, _, files in os.walk(path))
        shutil.rmtree(path)
    else:
        done.gone["files"] += 1
        path.unlink()


def _scrub_histories(root: Path, trace: Trace) -> None:
    """Histories of clips that stay may tell of the subject, too."""
    for path in sorted(root.rglob("*.json")):
        inside = path.resolve().is_relative_to(root.resolve()) and path.name != NOTE
        text = path.read_text(encoding="utf-8") if inside else ""
        if trace.name.search(text):
            value: Any = scrubbed(json.loads(text), trace)
            write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")
