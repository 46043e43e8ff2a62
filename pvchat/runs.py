"""Run folders ``runs/<name>/<id>/``: what a run leaves behind, and how it is read again."""

import json
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from pvchat.errors import UserError, writing

CONFIG, RECORD, METRICS, PREDICTIONS = "config.yaml", "run.json", "metrics.json", "predictions.jsonl"
ANSWERS = "predict.jsonl"  # of predict; predictions.jsonl is what the metrics were made of
DATA, PATCH = "data.json", "changes.patch"  # files and their sha256; what was not committed
TESTED = "test.yaml"  # config of a test that differs from that of the training
HEAD_MAP = "head_activation"  # .json and .png
ADAPTER, CHECKPOINTS, LAST, BEST = "adapter", "checkpoints", "last.ckpt", "best.ckpt"


def new_run(root: str | Path, name: str) -> Path:
    """A fresh folder ``root/name/<time>``; safe when several runs start in the same second. Raises UserError
    when ``name`` is no plain name or nothing can be written there."""
    if not name.strip() or name in (".", "..") or set(name) & set("/\\\0"):
        raise UserError(f"name must be the name of one folder, such as laptop: got {name!r}.")
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    for attempt in range(1000):
        path = Path(root) / name / (stamp if not attempt else f"{stamp}-{attempt}")
        with writing(path):
            try:
                path.mkdir(parents=True)
            except FileExistsError:
                continue
        return open_run(path)
    raise UserError(f"no free run folder under {root}/{name}: remove old runs.")


def open_run(path: Path) -> Path:
    """``path``, made if need be and written to, before anything long. Raises UserError."""
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)
        try:
            with tempfile.TemporaryFile(dir=path, buffering=0) as probe:
                probe.write(b"?")
        except OSError:
            remove_if_empty(path)
            raise
    return path


def find_run(path: str | Path, *, holding: str = f"{ADAPTER}/adapter.json") -> Path:
    """``path`` itself, or its newest run when it is the folder of a name: of those with the file ``holding``,
    if there are any. Raises UserError."""
    folder = Path(path)
    if (folder / CONFIG).is_file():
        return folder
    runs = [p.parent for p in folder.glob(f"*/{CONFIG}")]
    if runs:
        return max(runs, key=lambda run: ((run / holding).is_file(), _age(run)))
    raise UserError(f"a run folder holds {CONFIG}: {folder} does not. Give one, such as runs/NAME/ID.")


def remove_if_empty(run: Path) -> None:
    """Take away a run folder that nothing was written to, and that of its name if it holds no other."""
    for folder in (run, run.parent):
        try:
            folder.rmdir()
        except OSError:  # not empty, or gone
            return


def read_record(run: Path) -> dict[str, Any]:
    """What ``run.json`` says of a run. Raises UserError if it cannot be read."""
    return read_json(run / RECORD)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object. Raises UserError if it cannot be read."""
    return _read(path, json.loads)


def read_config(path: Path) -> dict[str, Any]:
    """A config as it is written. Raises UserError if it cannot be read."""
    return _read(path, yaml.safe_load)


def experiment_file(name: str) -> Path:
    """A config of this project, e.g. ``attention/moh.yaml``. Raises UserError outside a checkout."""
    path = Path(__file__).parents[1] / "experiments" / name
    if not path.is_file():
        raise UserError(f"experiments/{name} comes with a checkout of pvchat: {path} is missing.")
    return path


def write_text(path: Path, text: str) -> None:
    """Write then rename, so that a reader never sees half a file. A device, such as /dev/null, stays one."""
    if path.is_char_device() or path.is_fifo():
        with writing(path):
            path.write_text(text, encoding="utf-8")
        return
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    with writing(path):
        try:
            partial.write_text(text, encoding="utf-8")
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def _read(path: Path, parse: Callable[[str], Any]) -> dict[str, Any]:
    reason = "it holds no keys and values"
    try:
        if isinstance(found := parse(path.read_text(encoding="utf-8")), dict):
            return found
    except OSError as error:
        reason = f"{error.strerror}"
    except UnicodeDecodeError:
        reason = "it is not UTF-8 text"
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        reason = f"it is malformed ({' '.join(str(error).split())})"
    raise UserError(f"cannot read {path}: {reason}. Correct it or take another.")


def _age(run: Path) -> tuple[str, int]:
    """Orders the runs of a name; see ``new_run``."""
    day, time, attempt = (*run.name.split("-"), "0", "0")[:3]
    return f"{day}-{time}", int(attempt) if attempt.isdigit() else 0
