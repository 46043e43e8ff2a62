"""The folder of a corpus: one run at a time, one request; a killed run goes on where it was."""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from pvchat.errors import UserError, writing
from pvchat.synthesis.pipeline.filming import CLIPS, REJECTS
from pvchat.synthesis.pipeline.finishing import MANIFEST
from pvchat.synthesis.writing import write_text

FACES, FACES_FILE, RAW = "faces", "faces.json", "raw"
REQUEST, CONFIG, LOCK = "request.json", "config.yaml", ".lock"
NEEDED_MB = 300


@contextmanager
def corpus_folder(out: Path, request: Mapping[str, Any], config: str) -> Iterator[None]:
    """``out`` for one run alone, with ``request`` and ``config`` written down. It goes again if nothing was
    made in it. Raises UserError if it is another run's or another request's, holds something else, or
    has no room."""
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
        lock = FileLock(out / LOCK)
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise UserError(
                f"one run makes a corpus: another is at work in {out}. Wait for it, or choose another --out."
            ) from error
        try:
            _check(out, request)
            try:
                for left in out.rglob(".*.tmp"):  # of a run that was killed
                    left.unlink(missing_ok=True)
                free_mb = shutil.disk_usage(out).free // 1_000_000
                if free_mb < NEEDED_MB:
                    raise UserError(
                        f"a corpus needs {NEEDED_MB} MB: {free_mb} MB are free for {out}. Make room, or "
                        "choose another --out."
                    )
                write_text(out / REQUEST, json.dumps(request, indent=1, ensure_ascii=False) + "\n")
                write_text(out / CONFIG, config)
                yield
            finally:
                _remove_if_nothing_was_made(out)
        finally:
            lock.release()
            _remove_if_empty(out)


def _check(out: Path, request: Mapping[str, Any]) -> None:
    path = out / REQUEST
    if path.is_file():
        try:
            before = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            before = {}
        if changed := [k for k in {**before, **request} if before.get(k) != request.get(k)]:
            raise UserError(
                f"a corpus goes on with the request it began with: {out} began with other values "
                f"of {', '.join(changed)}. Choose another --out, or delete that folder."
            )
    elif any(p.name != LOCK for p in out.iterdir()):
        raise UserError(f"a corpus needs a folder of its own: {out} is there and not empty. Choose another.")


def _remove_if_nothing_was_made(out: Path) -> None:
    made = any(any((out / place).glob("*")) for place in (CLIPS, REJECTS))
    if not made and not (out / MANIFEST).exists():
        for name in (FACES, RAW):
            shutil.rmtree(out / name, ignore_errors=True)
        for name in (REQUEST, CONFIG):
            (out / name).unlink(missing_ok=True)


def _remove_if_empty(out: Path) -> None:
    """The lock where there is no corpus, and then ``out``, if it holds nothing else."""
    if not (out / REQUEST).exists():
        (out / LOCK).unlink(missing_ok=True)
        if not any(out.iterdir()):
            out.rmdir()
